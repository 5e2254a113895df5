//! The libraries of `[[plugin]]`: which files to load, and how.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use wpk_api::Sha256;
use wpk_api::settings::{self, Problem, Span};

pub(crate) const PLUGIN_KEY: &str = "plugin";

/// `[[plugin]]`: a library with plugins (`wpk_plugin.h`), and how it is to be
/// loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFile {
    /// The library; absolute.
    pub path: PathBuf,
    /// The SHA-256 it must have; `None`: any.
    pub sha256: Option<[u8; 32]>,
    /// How long one operation may take, 10 ms to 1 day; `None`: what suits each.
    pub deadline: Option<Duration>,
    /// How long an operation may take to end after it was taken back, 10 ms to
    /// 1 hour; then the plugin is quarantined. `None`: the loader's default.
    pub grace: Option<Duration>,
}

/// A library with plugins of a site or of somebody else. It can do all that the daemon can.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Entry {
    /// The absolute path of the library. It must be there.
    path: Option<PathBuf>,
    /// The SHA-256 it must have, 64 hexadecimal digits. Absent: any content is loaded.
    sha256: Option<String>,
    /// How long any call may take, 10ms to 1d. Absent: as it suits each call.
    deadline: Option<Span>,
    /// How long a call that was cancelled may take to end, 10ms to 1h; after that the
    /// plugin is not asked again. Absent: 5s.
    grace: Option<Span>,
}

/// One entry of the list.
///
/// # Errors
/// Every mistake in it.
pub(crate) fn read(entry: &Value) -> Result<PluginFile, Vec<Problem>> {
    let entry: Entry = settings::read(entry)?;
    let mut problems = Vec::new();
    if !entry.path.as_ref().is_some_and(|path| path.is_absolute()) {
        let message = "must be the absolute path of a library";
        problems.push(Problem::new("path", message));
    }
    let sha256 = entry.sha256.as_deref();
    let sha256 = sha256.map(|text| Some(text.parse::<Sha256>().ok()?.0));
    if sha256 == Some(None) {
        problems.push(Problem::new("sha256", "must be 64 hexadecimal digits"));
    }
    let mut limit = |key: &str, span: Option<Span>, most: Duration, words: &str| {
        let range = Duration::from_millis(10)..=most;
        if span.is_some_and(|span| !range.contains(&span.0)) {
            problems.push(Problem::new(key, format!("must be 10ms to {words}")));
        }
    };
    limit(
        "deadline",
        entry.deadline,
        Duration::from_secs(86_400),
        "1d",
    );
    limit("grace", entry.grace, Duration::from_secs(3_600), "1h");
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(PluginFile {
        path: entry.path.unwrap_or_default(),
        sha256: sha256.flatten(),
        deadline: entry.deadline.map(|span| span.0),
        grace: entry.grace.map(|span| span.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_of_an_entry_is_found() {
        let entry = json!({"path": "x.so", "sha256": "zz", "deadline": "1ms", "grace": "2h"});
        let keys: Vec<String> = read(&entry)
            .unwrap_err()
            .into_iter()
            .map(|p| p.key)
            .collect();
        assert_eq!(keys, ["path", "sha256", "deadline", "grace"]);
        let digits = "Ab".repeat(32);
        let entry = json!({"path": "/x.so", "sha256": digits, "deadline": "2s"});
        let file = read(&entry).unwrap();
        assert_eq!(file.sha256, Some([0xab; 32]));
        assert_eq!(file.deadline, Some(Duration::from_secs(2)));
    }
}
