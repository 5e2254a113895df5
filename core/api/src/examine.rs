//! What `wpkctl doctor` asks of plugins, and what they answer: one line for each
//! thing looked at, with what to do where it is not well.
//!
//! The questions are put by `wpkd examine`, which reads the settings as the start
//! of the daemon does, and asks every section of it by
//! [`Factory::examine`](crate::Factory::examine); it prints a [`Line`] for each
//! answer, and `wpkctl doctor` shows them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::Span;
use crate::{PackageType, Platform, Version, words};

/// What is to be looked at beside the plugin itself, and what the daemon around
/// it would ask of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Examine {
    /// The platform whose packages a provider is asked about; `None`: none.
    pub platform: Option<Platform>,
    /// The type of its packages, where the platform leaves it open.
    pub package_type: Option<PackageType>,
    /// The version that an upgrade asks for which names none, where it is always
    /// the same one (dialect `wazuh-4`); `None`: the newest.
    pub version: Option<Version>,
    /// How many of the platform's newest files are downloaded and held against
    /// their digests; 0: none.
    pub downloads: usize,
    /// The largest file the daemon takes, in bytes; `None`: no limit but the plugin's.
    pub max_size: Option<u64>,
    /// A folder for the first good download, under its own name, so that whoever
    /// asks can look into it; `None`: nothing is kept.
    pub keep: Option<PathBuf>,
    /// How long a task may be In progress without an update before it times out;
    /// `None`: not known.
    pub task_timeout: Option<Span>,
}

/// The name of a directory's check whose detail is the version of the manager itself,
/// where it knows it.
pub const MANAGER_VERSION: &str = "manager version";

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

impl Level {
    /// `ok`, `warning` or `failure`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
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

/// One line of a terminal: `LEVEL NAME: DETAIL; ADVICE`. What is no text in it
/// (strangers may have chosen it) becomes `?`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text.replace(words::steers, "?");
        let (name, detail) = (shown(&self.name), shown(&self.detail));
        write!(f, "{:<8} {name}: {detail}", self.level)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, "; {}", shown(advice)),
        }
    }
}

/// One line of `wpkd examine --json`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line {
    /// Something was looked at.
    Check {
        /// The section it belongs to: `store`, `provider.0`; empty for what is
        /// the daemon's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        section: String,
        /// How it is.
        #[serde(flatten)]
        check: Check,
    },
    /// Everything was looked at. Without this line at its end the examination
    /// broke off.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_whatever_it_holds() {
        let check = Check::warning("disk\tspace", "little\nok all: fine", "make \u{1b}[1mroom");
        assert_eq!(
            check.to_string(),
            "warning  disk?space: little?ok all: fine; make ?[1mroom"
        );
        assert_eq!(
            Check::ok("clock", "fine").to_string(),
            "ok       clock: fine"
        );
    }

    #[test]
    fn lines_are_what_they_were_after_a_journey_as_json() {
        let check = Check::failure("files", "1 of 2 are bad", "mirror them again");
        let section = "provider.0".to_owned();
        for line in [Line::Check { section, check }, Line::End] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
        let short = r#"{"event":"check","name":"clock","level":"ok","detail":"fine"}"#;
        let check = Check::ok("clock", "fine");
        let section = String::new();
        assert_eq!(
            serde_json::from_str::<Line>(short).unwrap(),
            Line::Check { section, check }
        );
    }

    #[test]
    fn a_question_of_a_newer_daemon_is_read() {
        let read: Examine = serde_json::from_str(r#"{"downloads":2,"moon":"full"}"#).unwrap();
        assert_eq!(read.downloads, 2);
        assert_eq!(read.task_timeout, None);
    }
}
