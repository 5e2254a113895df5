//! What the answers about rollouts are built of: texts, lists and words that are bounded
//! where they are made, so that no answer is longer than a frame may be.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};
use wpk_api::words::clean;

/// A text of an answer, on one line, of at most [`Words::LONGEST`] bytes: the rest of a
/// longer one is cut off, and what would steer a terminal is written as escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Words(String);

impl Words {
    /// The longest, in bytes.
    pub const LONGEST: usize = 512;
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self(clean(text, Self::LONGEST))
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Words {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl Deref for Words {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// How many agents there are of each kind: a site, a platform, a cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallied {
    /// The largest, with the largest first; of equal ones in the order of their names.
    pub kinds: Vec<Kind>,
    /// Kinds that did not fit.
    #[serde(default)]
    pub other_kinds: u64,
    /// Agents of these.
    #[serde(default)]
    pub other_agents: u64,
}

/// One kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// What it is; empty where that is not known.
    pub what: Words,
    /// How many agents are of it.
    pub agents: u64,
}

impl Tallied {
    /// The most kinds that are told one by one.
    pub const MOST: usize = 30;

    /// Of all kinds, each once.
    pub fn new<T: Into<Words>>(kinds: impl IntoIterator<Item = (T, usize)>) -> Self {
        let mut all: Vec<Kind> = kinds
            .into_iter()
            .map(|(what, agents)| Kind {
                what: what.into(),
                agents: count(agents),
            })
            .collect();
        all.sort_by(|a, b| {
            let largest_first = b.agents.cmp(&a.agents);
            largest_first.then_with(|| a.what.cmp(&b.what))
        });
        let others = all.split_off(all.len().min(Self::MOST));
        Self {
            kinds: all,
            other_kinds: count(others.len()),
            other_agents: others.iter().map(|kind| kind.agents).sum(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// All agents.
    pub fn agents(&self) -> u64 {
        let kinds = self.kinds.iter();
        kinds.fold(self.other_agents, |sum, kind| {
            sum.saturating_add(kind.agents)
        })
    }
}

/// The rate at which bytes go to a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRate {
    /// The site.
    pub site: Words,
    /// Bytes per second.
    pub bytes_per_second: u64,
}

/// A number of things as the wire has it.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// An enum with a word for each variant, which reads words of other releases, too.
macro_rules! spoken {
    ($(#[$about:meta])* $name:ident { $($body:tt)* }) => {
        crate::word::words! {
            $(#[$about])*
            $name {
                $($body)*
                /// A word of another release.
                Other = "other",
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from_word(&word).unwrap_or_default())
            }
        }
    };
}

/// Makes answers items and reads them again.
macro_rules! answers {
    ($($answer:ident),* $(,)?) => {$(
        impl $answer {
            /// An item of the answer.
            pub fn to_item(&self) -> crate::upgrade::response::Item {
                crate::upgrade::response::Item::default().with(self)
            }

            /// Reads an item of the answer; `None` if it is none of this command.
            pub fn from_item(item: &crate::upgrade::response::Item) -> Option<Self> {
                item.read().ok()
            }
        }
    )*};
}

pub(super) use {answers, spoken};
