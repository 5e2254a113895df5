//! Whether an installer runs: `var/run/wpk-installer.lock`, a file that is locked before
//! the installer begins, by whoever watches it (`supervisor`) while anything of it
//! lives. A lock needs no reading and outlives no process, so it says the truth after a
//! crash, a restart of the agent and a reboot alike.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::home;
use crate::platform::files;

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Running(PathBuf);

impl Running {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes down that an installer runs, for as long as the file, or one it was handed
    /// on as, is open. `None` when one runs already.
    ///
    /// # Errors
    /// What the disk says; no installer must run then.
    pub(crate) fn begin(&self) -> io::Result<Option<File>> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        home::make_folder(folder).map_err(io::Error::other)?;
        files::remove_anothers(&self.0)?;
        let file = self.open(true)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether one runs, and its result was not delivered yet.
    pub(crate) fn holds(&self) -> bool {
        let file = match self.open(false) {
            Ok(file) => file,
            Err(_) => return false,
        };
        let ours = files::about_open(&file).is_ok_and(|about| about.is_trusted());
        ours && matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// The result of the one that runs was delivered: what still lives of it, a
    /// service perhaps, holds nobody up.
    pub(crate) fn forget(&self) {
        match home::remove(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("{}: cannot be removed: {error}", self.0.display());
            }
            _ => {}
        }
    }

    fn open(&self, create: bool) -> io::Result<File> {
        files::unlinked(0o600)
            .read(true)
            .write(true)
            .create(create)
            .open(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_while_the_lock_is_held_or_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::new(dir.path().join("run/lock"));
        assert!(!running.holds());
        let first = running.begin().unwrap().unwrap();
        assert!(running.holds());
        assert!(running.begin().unwrap().is_none());
        drop(first);
        assert!(!running.holds());
        let _old = running.begin().unwrap().unwrap();
        running.forget();
        assert!(!running.holds());
        let _next = running.begin().unwrap().unwrap();
        assert!(running.holds());
    }
}
