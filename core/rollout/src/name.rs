//! Names of sites, rollouts and waves. They go into messages, keys of stores, values of
//! selectors and command lines.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wpk_api::words::{clean, steers};

use crate::text::from_text;

/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 64;

/// A name: 1 to [`LONGEST_NAME`] bytes without spaces, quotes, backslashes and `#`.
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: write 1 to 64 bytes without spaces, quotes, \\ and #")]
pub struct NameError(pub String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let good = |c: char| !c.is_whitespace() && !steers(c) && !matches!(c, '"' | '\\' | '#');
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(good) {
            return Err(NameError(clean(text, LONGEST_NAME)));
        }
        Ok(Self(text.into()))
    }
}

impl Name {
    /// A name of the house's own.
    pub(crate) fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "lyon")
    }
}
