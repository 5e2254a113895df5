//! The settings of the daemon: read in stages, checked all at once.
//!
//! [`collect`] puts the fragments together (`load.rs`: defaults, a manager's
//! `ossec.conf` (`ossec/`), `--config FILE`, `conf.d/*.toml`, `WPKD_...`
//! variables), and [`Fragments::check`] turns them into typed [`Settings`] or
//! into *all* [`Finding`]s (`check.rs`), each naming its file and key. Between
//! the two the daemon loads the libraries of `[[plugin]]`
//! ([`Fragments::plugin_files`]), so that their types are known; nothing is
//! loaded here. The typed sections are in `sections.rs`. What belongs to a
//! plugin stays JSON: whoever knows the plugins ([`Plugins`], `plugins.rs`)
//! checks it, names the plugins of sections that are not there, and says which
//! sections do not fit together.
//!
//! ```
//! use wpk_config::{Sources, load};
//!
//! // A tool that knows no plugins reads what is everybody's.
//! let settings = load(&Sources::default(), None)?;
//! assert_eq!(settings.tasks.task_timeout.to_string(), "15m");
//! # Ok::<(), wpk_config::Findings>(())
//! ```

mod changes;
mod check;
mod libraries;
mod load;
mod ossec;
mod places;
mod plugins;
mod ranges;
mod reading;
mod reference;
mod releases;
mod sections;
mod together;

use std::fmt;
use std::path::PathBuf;

pub use changes::Written;
pub use libraries::PluginFile;
pub use load::{Fragments, collect, default_home, load};
pub use ossec::OssecConf;
pub use plugins::Plugins;
pub use reading::Reading;
pub use reference::reference;
pub use releases::ReleaseSettings;
pub use sections::{
    CacheSettings, ChunkSize, Concurrency, DeliverySettings, LogFormat, LogSettings, OnRestart,
    PluginSection, Settings, TaskSettings, TelemetrySettings,
};

/// One mistake in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The file with the line, or what else the value came from; `None` where a value
    /// is missing.
    pub origin: Option<String>,
    /// The full key, for example `provider.0.url`; empty for the file as a whole.
    pub key: String,
    /// The key as it is written at its origin, `[[provider]] number 1: url`; empty
    /// where that is no other.
    pub written: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        match (self.written.as_str(), self.key.as_str()) {
            ("", "") => {}
            ("", key) => write!(f, "{key}: ")?,
            (written, _) => write!(f, "{written}: ")?,
        }
        f.write_str(&self.message)
    }
}

/// All mistakes of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Findings(pub Vec<Finding>);

/// Where to read settings from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--config FILE`; `None`: the embedded default.
    pub file: Option<PathBuf>,
    /// `--home DIR`: wins over every other place.
    pub home: Option<PathBuf>,
}
