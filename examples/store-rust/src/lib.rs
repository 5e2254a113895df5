//! `type = "journal"`: tasks in one append-only file that a text editor can read.
//!
//! An example of a store in Rust. This file has what every plugin has: the
//! settings, the function that opens it, and the export. `store` implements the
//! trait, `tasks` knows the rules and nothing of files, `changes` is what one
//! call changed, `journal` keeps changes on disk.

mod calls;
mod changes;
mod entered;
mod feed;
mod journal;
mod store;
mod tasks;

use std::path::PathBuf;

use serde::Deserialize;
use wpk_plugin::Section;
use wpk_plugin::api::settings::{Problem, Problems};
use wpk_plugin::api::{BuildError, Context, Demands, Resource};

pub use store::JournalStore;

/// The section `[store] type = "journal"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file; a relative one starts at `home`, and its folder must exist.
    #[serde(default = "Settings::path")]
    pub path: PathBuf,
}

impl Settings {
    /// The file when the settings name none.
    pub fn path() -> PathBuf {
        PathBuf::from("queue/tasks/tasks.journal")
    }
}

impl Section for Settings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.names_file("path", &self.path, "queue/tasks/tasks.journal");
        problems.found()
    }

    /// Nobody else may keep something in the file.
    fn demands(&self, context: &Context) -> Demands {
        let file = Resource::Path(context.path(&self.path));
        Demands::default().occupying("path", file)
    }
}

/// Opens the store.
///
/// # Errors
/// [`BuildError::Failed`] says which file cannot be used, and why.
pub fn open(settings: Settings, context: &Context) -> Result<JournalStore, BuildError> {
    let path = context.path(&settings.path);
    JournalStore::open(&path).map_err(|error| BuildError::Failed(error.to_string()))
}

wpk_plugin::export_plugin! {
    store "journal" = open;
}
