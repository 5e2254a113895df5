//! The observer in memory, with what it would remember in a file of its own, so that the
//! other side of the border can look. As long as there is a file `broken` in the daemon's
//! home it takes nothing, and as long as there is a file `hang` it blocks a thread for ever.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wpk_api::{
    BuildError, Change, Context, Factory, ObserverError, Task, TaskId, TaskObserver, section,
};
use wpk_plugin::async_trait;
use wpk_testkit::memory::MemoryObserver;

/// `[[observer]] type = "border-memory"`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The file, from the daemon's home.
    #[serde(default = "Settings::path")]
    path: PathBuf,
}

impl Settings {
    fn path() -> PathBuf {
        PathBuf::from("observed.json")
    }
}

impl section::Section for Settings {}

pub(crate) fn plugin() -> impl Factory<dyn TaskObserver> {
    wpk_plugin::plugin("border-memory", open)
}

fn open(settings: Settings, context: &Context) -> Result<Kept, BuildError> {
    let file = context.path(settings.path);
    let inside = MemoryObserver::that_writes();
    if let Ok(bytes) = std::fs::read(&file) {
        let tasks: BTreeMap<i64, Task> = serde_json::from_slice(&bytes)
            .map_err(|error| BuildError::Failed(format!("{}: {error}", file.display())))?;
        inside.put(tasks.into_values());
    }
    Ok(Kept {
        inside,
        file,
        writing: Mutex::new(()),
        broken: context.path("broken"),
        hang: context.path("hang"),
    })
}

struct Kept {
    inside: MemoryObserver,
    file: PathBuf,
    /// An `observe` that was given up may still be writing.
    writing: Mutex<()>,
    broken: PathBuf,
    hang: PathBuf,
}

#[async_trait]
impl TaskObserver for Kept {
    async fn observe(&self, changes: &[Change]) -> Result<(), ObserverError> {
        while self.hang.exists() {
            std::thread::sleep(Duration::from_secs(3600));
        }
        if self.broken.exists() {
            return Err(ObserverError("it is broken".to_owned()));
        }
        self.inside.observe(changes).await?;
        let _writing = (self.writing.lock()).unwrap_or_else(PoisonError::into_inner);
        let there: BTreeMap<i64, Task> = (self.inside.there().into_iter())
            .map(|(id, task)| (id.0, task))
            .collect();
        let failed = |error: std::io::Error| ObserverError(error.to_string());
        let bytes = serde_json::to_vec(&there).map_err(|error| failed(error.into()))?;
        // Whoever looks sees all of it or what was there before.
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, bytes).map_err(failed)?;
        std::fs::rename(&beside, &self.file).map_err(failed)
    }

    async fn shown(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, ObserverError> {
        self.inside.shown(after, limit).await
    }
}
