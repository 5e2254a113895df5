//! The section `[[provider]] type = "local-file"` and every mistake in it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use wpk_api::settings::Problem;

/// The settings of local files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The folders a file must lie in, links followed; relative ones start at
    /// `home`. Absent: every file that the daemon can read may be sent.
    pub roots: Option<Vec<PathBuf>>,
}

impl Settings {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = wpk_api::settings::read(section)?;
        let mut problems = Vec::new();
        if settings.roots.as_ref().is_some_and(Vec::is_empty) {
            let message = "names no folder, so no file could be sent: name one, or leave it out";
            problems.push(Problem::new("roots", message));
        }
        for (index, root) in settings.roots.iter().flatten().enumerate() {
            if root.as_os_str().is_empty() {
                problems.push(Problem::new(format!("roots.{index}"), "must name a folder"));
            }
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }
}
