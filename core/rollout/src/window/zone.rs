//! Time zones, from the database that is compiled in: no file is read, and all nodes of
//! a cluster mean the same by a name.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::UnixTime;
use wpk_api::words::clean;

use crate::text::from_text;

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone: write one of the IANA database, for example \"Europe/Paris\"")]
pub struct UnknownZone(pub String);

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            zone: TimeZone::UTC,
        }
    }

    /// The date on the wall at `instant`.
    pub(super) fn date(&self, instant: Timestamp) -> Date {
        self.zone.to_datetime(instant).date()
    }

    /// When the clock on the wall first shows this minute of `date` or a later one;
    /// minute 1440 is midnight at its end.
    pub(super) fn instant(&self, date: Date, minute: u16) -> Option<UnixTime> {
        let (date, minute) = match minute {
            1440 => (date.tomorrow().ok()?, 0),
            minute => (date, minute),
        };
        let (hour, minute) = (
            i8::try_from(minute / 60).ok()?,
            i8::try_from(minute % 60).ok()?,
        );
        let wall = DateTime::from_parts(date, Time::new(hour, minute, 0, 0).ok()?);
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let instant = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => {
                // The time does not exist. With the offset that came after the change it
                // would have been before it; the change itself is the next transition.
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next()?.timestamp()
            }
            _ => ambiguous.earlier().ok()?,
        };
        Some(instant.as_second())
    }

    /// `instant` as the clock on the wall shows it, with its offset.
    pub fn show(&self, at: UnixTime) -> String {
        match Timestamp::from_second(at) {
            Ok(instant) => {
                let zoned = instant.to_zoned_datetime(self.zone.clone());
                zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
            }
            Err(_) => at.to_string(),
        }
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        let database = TimeZoneDatabase::bundled();
        let zone = (database.get(text)).map_err(|_| UnknownZone(clean(text, 64)))?;
        let name = zone.iana_name().unwrap_or(text).to_owned();
        Ok(Self { name, zone })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "Europe/Paris")
    }
}
