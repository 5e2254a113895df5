//! What `wpkctl doctor` asks of plugins, and what they answer: one line for each
//! thing looked at, with what to do where it is not well.

use serde::{Deserialize, Serialize};

use crate::Platform;

/// What is to be looked at beside the plugin itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Examine {
    /// The platform whose packages a provider is asked about; `None`: none.
    pub platform: Option<Platform>,
    /// How many of the platform's newest files are downloaded and held against
    /// their digests; 0: none.
    pub downloads: usize,
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good.
    Ok,
    /// It works, but not for long, or not for all.
    Warning,
    /// It does not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: String,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty where there is nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Check {
    /// A check with its outcome.
    pub fn new(
        name: impl Into<String>,
        level: Level,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            level,
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    /// All is well.
    pub fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, Level::Ok, detail, "")
    }

    /// It works, but.
    pub fn warning(
        name: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, Level::Warning, detail, advice)
    }

    /// It does not work.
    pub fn failure(
        name: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, Level::Failure, detail, advice)
    }
}
