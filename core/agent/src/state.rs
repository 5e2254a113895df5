//! Whether upgrades are allowed (section 7), and who is told when that may have
//! changed. The engine asks, the notification loop listens.
//!
//! Nothing is remembered but the switch: the result of an upgrade that waits to
//! be delivered is a file, so the answer is the same after a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use wpk_api::TaskId;

use crate::home;
use crate::in_progress::{self, InProgress};
use crate::lives::{LateWord, Life, Lives, NewLife, Whose, whose};
use crate::reason;
use crate::result::ResultFile;
use crate::running::Running;
use crate::task_file::TaskFile;

/// Shared between engine and notification loop.
#[derive(Debug)]
pub(crate) struct State {
    enabled: AtomicBool,
    /// A result is told to the manager, whatever its file looks like.
    telling: AtomicBool,
    result: PathBuf,
    task: TaskFile,
    running: Running,
    lives: Lives,
    in_progress: InProgress,
    changed: Notify,
}

impl State {
    /// `result`: where installers leave theirs; which task it is of is written
    /// down beside it. `running`: whether one runs. `lives`: which of them may still
    /// write a result.
    pub(crate) fn new(enabled: bool, result: PathBuf, running: Running, lives: Lives) -> Self {
        Self {
            enabled: AtomicBool::new(enabled),
            telling: AtomicBool::new(false),
            in_progress: InProgress::new(result.with_file_name(in_progress::NAME)),
            task: TaskFile::beside(&result),
            result,
            running,
            lives,
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

    /// Whether an installer still works, for the log: no other may be begun then, nor its
    /// package be brought. `within`: how long one of a 4.x package that says so itself is
    /// believed.
    pub(crate) fn installer_runs(&self, within: Duration) -> Option<String> {
        if self.running.holds() {
            return Some("the installer before still runs".to_owned());
        }
        let process = self.in_progress.process(within)?;
        let name = in_progress::NAME;
        Some(format!("process {process} works, says var/upgrade/{name}"))
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
        if of.is_some_and(|task| self.lives.forget_word(task)) {
            self.changed.notify_one();
            return Ok(());
        }
        if of.is_some() && of != self.task() {
            return Ok(());
        }
        // A folder or pipe in its place would be in the way for ever.
        home::remove(&self.result)?;
        // Left behind it would be of no result; the next installer replaces it.
        if let Err(error) = self.task.remove() {
            tracing::warn!("the note of the upgrade's task cannot be removed: {error}");
        }
        reason::forget(&self.result);
        self.running.forget();
        let lives = self.lives.all();
        self.lives.remove(lives.iter().filter(|life| !life.late));
        self.tells(false);
        self.enabled.store(true, Ordering::Relaxed);
        self.changed.notify_one();
        Ok(())
    }

    /// Writes down which task the installer that is about to run is of. A result that is
    /// there already is none of its.
    ///
    /// # Errors
    /// What the disk says; the installer must not run then.
    pub(crate) fn begins(&self, task: Option<TaskId>) -> io::Result<NewLife> {
        let look = self.look();
        if look.found != ResultFile::Absent {
            let of = match look.lives.as_slice() {
                [one] => Some(one.clone()),
                lives => {
                    let mut ended = lives.iter().filter(|life| !life.alive);
                    ended.next().filter(|_| ended.next().is_none()).cloned()
                }
            };
            self.put_aside(of.as_ref(), look.found)?;
        }
        let new = self.lives.add(task)?;
        self.task.write(task)?;
        Ok(new)
    }

    /// Looks for a result, and whose it is. What ended without leaving one will leave
    /// none: that is written down here.
    pub(crate) fn look(&self) -> Look {
        // Before the result: whoever ended after this may have written it.
        let lives = self.lives.all();
        let found = ResultFile::read(&self.result);
        let lives = if found == ResultFile::Absent {
            let (alive, ended): (Vec<_>, Vec<_>) = lives.into_iter().partition(|life| life.alive);
            self.lives.remove(&ended);
            alive
        } else {
            lives
        };
        Look { found, lives }
    }

    /// Takes a result that is not the last installer's out of the way: it is kept to be
    /// told where its task is known, else only said here.
    ///
    /// # Errors
    /// What the disk says; it is still in its place then.
    pub(crate) fn put_aside(&self, of: Option<&Life>, found: ResultFile) -> io::Result<()> {
        let result = found.number();
        match of.map(|life| (life, life.task)) {
            Some((life, Some(task))) => {
                tracing::warn!(
                    "upgrade_result ({result}) is that of task {task}, whose installer was late"
                );
                self.lives.keep_word(life, result)?;
            }
            Some((_, None)) => tracing::error!(
                "upgrade_result ({result}) is that of an earlier upgrade, whose installer was late; \
                 its manager named no task, so that it cannot be told"
            ),
            None => tracing::error!(
                "upgrade_result ({result}) may be that of an earlier upgrade, whose installer still \
                 works, or that of the last one: which cannot be told, so no manager is told; \
                 look at logs/wpk-installer.log"
            ),
        }
        home::remove(&self.result)?;
        if let Some(life) = of {
            self.lives.remove([life]);
        }
        Ok(())
    }

    /// The result of an earlier installer that waits to be told.
    pub(crate) fn late_word(&self) -> Option<LateWord> {
        self.lives.word()
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

/// What [`State::look`] found.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) found: ResultFile,
    lives: Vec<Life>,
}

impl Look {
    /// Whose the result is, if there is one.
    pub(crate) fn whose(&self) -> Whose {
        whose(&self.lives)
    }

    /// Whether an installer of before still works.
    pub(crate) fn late(&self) -> bool {
        self.lives.iter().any(|life| life.late)
    }
}

#[cfg(test)]
impl State {
    /// One that allows upgrades, with all its files in `folder`.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let running = Running::new(folder.join("lock"));
        let lives = Lives::new(folder.join("lives"));
        Self::new(true, folder.join("upgrade_result"), running, lives)
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
        assert!(!result.exists() && !result.with_file_name(".upgrade_task").exists());
        assert_eq!(fs::read_dir(dir.path().join("lives")).unwrap().count(), 0);
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
