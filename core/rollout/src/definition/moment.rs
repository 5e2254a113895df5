//! Moments, as definitions write them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::UnixTime;
use wpk_api::words::clean;

use crate::text::from_text;

/// A moment with its offset, `2026-12-05T00:00:00Z` or `2026-12-05T01:00:00+01:00`; to
/// the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub UnixTime);

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no moment: write date, time and offset, for example \"2026-12-05T00:00:00Z\"")]
pub struct MomentError(pub String);

impl FromStr for Moment {
    type Err = MomentError;
    fn from_str(text: &str) -> Result<Self, MomentError> {
        let instant: Result<Timestamp, _> = text.parse();
        instant
            .map(|instant| Self(instant.as_second()))
            .map_err(|_| MomentError(clean(text, 64)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "2026-12-05T00:00:00Z")
    }
}
