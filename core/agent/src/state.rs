//! Whether upgrades are allowed (section 7), and who is told when that may have
//! changed. The engine asks, the notification loop listens.
//!
//! Nothing is remembered but the switch: the result of an upgrade that waits to
//! be delivered is a file, so the answer is the same after a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use wpk_api::TaskId;

use crate::home;
use crate::result::ResultFile;
use crate::running::Running;
use crate::task_file::TaskFile;

/// The name of the file with the task, beside the result. A pattern such as `*`
/// of an installer does not meet it.
const TASK: &str = ".upgrade_task";

/// Shared between engine and notification loop.
#[derive(Debug)]
pub(crate) struct State {
    enabled: AtomicBool,
    /// A result is told to the manager, whatever its file looks like.
    telling: AtomicBool,
    result: PathBuf,
    task: TaskFile,
    running: Running,
    changed: Notify,
}

impl State {
    /// `result`: where installers leave theirs; which task it is of is written
    /// down beside it. `running`: whether one runs.
    pub(crate) fn new(enabled: bool, result: PathBuf, running: Running) -> Self {
        Self {
            enabled: AtomicBool::new(enabled),
            telling: AtomicBool::new(false),
            task: TaskFile::new(result.with_file_name(TASK)),
            result,
            running,
            changed: Notify::new(),
        }
    }

    /// Whether commands are carried out: not while switched off, and not until
    /// the result of the upgrade before was delivered.
    pub(crate) fn allows_upgrades(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
            && !self.telling.load(Ordering::Relaxed)
            && !ResultFile::read(&self.result).is_pending()
    }

    /// The switch of the settings, turned.
    pub(crate) fn enable(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Whether an installer still works: no other may be begun then, nor its package
    /// be brought.
    pub(crate) fn installer_runs(&self) -> bool {
        self.running.holds()
    }

    /// Whether a result is being told: it then holds the next upgrade back, also
    /// where its file is none.
    pub(crate) fn tells(&self, telling: bool) {
        self.telling.store(telling, Ordering::Relaxed);
    }

    /// Carries out `clear_upgrade_result`: removes the file and allows upgrades
    /// again, even where the settings did not, as a 4.x agent does. Where it names
    /// a task, and the result is another's, nothing is done: the answer to a word
    /// that was repeated may come when there is a new result already.
    ///
    /// # Errors
    /// Those of removing the file, also when there is none.
    pub(crate) fn clear(&self, of: Option<TaskId>) -> io::Result<()> {
        if of.is_some() && of != self.task() {
            return Ok(());
        }
        // A folder or pipe in its place would be in the way for ever.
        home::remove(&self.result)?;
        // Left behind it would be of no result; the next installer replaces it.
        if let Err(error) = self.task.remove() {
            tracing::warn!("the note of the upgrade's task cannot be removed: {error}");
        }
        self.running.forget();
        self.tells(false);
        self.enabled.store(true, Ordering::Relaxed);
        self.changed.notify_one();
        Ok(())
    }

    /// Writes down which task the installer that is about to run is of.
    ///
    /// # Errors
    /// What the disk says; the installer must not run then.
    pub(crate) fn begins(&self, task: Option<TaskId>) -> io::Result<()> {
        self.task.write(task)
    }

    /// Which task the result is of, if the manager named it.
    pub(crate) fn task(&self) -> Option<TaskId> {
        self.task.read()
    }

    /// An installer has ended its first part: a result may come soon.
    pub(crate) fn expect_result(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`State::clear`] or [`State::expect_result`].
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Where the result is looked for.
    pub(crate) fn result_path(&self) -> &Path {
        &self.result
    }
}

#[cfg(test)]
impl State {
    /// One that allows upgrades, with all its files in `folder`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let running = Running::new(folder.join("lock"));
        Self::new(true, folder.join("upgrade_result"), running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_result_of_the_named_task_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        let state = State::in_folder(dir.path());
        state.begins(Some(TaskId(6))).unwrap();
        fs::write(&result, "0\n").unwrap();
        // The late answer to a word about the upgrade before.
        state.clear(Some(TaskId(5))).unwrap();
        assert!(!state.allows_upgrades());
        assert_eq!(state.task(), Some(TaskId(6)));
        state.clear(Some(TaskId(6))).unwrap();
        assert!(state.allows_upgrades());
        assert_eq!(state.task(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_manager_that_names_no_task_clears_whatever_there_is() {
        for task in [None, Some(TaskId(6))] {
            let dir = tempfile::tempdir().unwrap();
            let result = dir.path().join("upgrade_result");
            let state = State::in_folder(dir.path());
            state.begins(task).unwrap();
            fs::write(&result, "0\n").unwrap();
            state.clear(None).unwrap();
            assert!(state.allows_upgrades());
            assert!(state.clear(None).is_err(), "there is none");
        }
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        let state = State::in_folder(dir.path());
        fs::write(&result, "0\n").unwrap();
        state.clear(Some(TaskId(5))).unwrap();
        assert!(result.exists(), "nobody named its task");
    }
}
