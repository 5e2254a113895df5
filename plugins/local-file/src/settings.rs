//! The section `[[provider]] type = "local-file"` and every mistake in it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use wpk_api::section::Section;
use wpk_api::settings::{Problem, Problems, Value, schema_of};

/// The settings of local files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The folders a file must lie in, links followed; relative ones start at
    /// `home`. Absent: every file that the daemon can read may be sent.
    pub roots: Option<Vec<PathBuf>>,
}

impl Section for Settings {
    const RELOADABLE: bool = true;

    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        if self.roots.as_ref().is_some_and(Vec::is_empty) {
            let message = "names no folder, so no file could be sent: name one, or leave it out";
            problems.add("roots", message);
        }
        for (index, root) in self.roots.iter().flatten().enumerate() {
            problems.not_empty(&format!("roots.{index}"), root, "name a folder");
        }
        problems.found()
    }
}
