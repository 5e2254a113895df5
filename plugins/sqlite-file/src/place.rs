//! Whether an open database still lies where it was opened.
//!
//! SQLite goes on with a file that was removed or replaced: what it writes is
//! lost when the last process closes the file. So whoever writes looks first.
//! A look is two calls of `stat`, far less than a commit.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where an open database and its log lie.
#[derive(Debug)]
pub struct Place {
    database: Open,
    /// What was committed and not yet put into the database.
    log: Option<Open>,
    /// What the log was told last, so that it is told once.
    said: Mutex<Option<Moved>>,
}

/// A file that does not lie any more where it was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Moved {
    what: String,
    /// What to do; for the log alone, which says it once.
    advice: String,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    /// Device and inode. No other file can get them while this one is open.
    identity: (u64, u64),
}

impl Place {
    /// The place of a database that was just opened, in WAL mode and once read, so
    /// that its log is there.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(database: &Path) -> io::Result<Self> {
        let log = match Open::of(beside(database, "-wal")) {
            Ok(log) => Some(log),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            database: Open::of(database.to_owned())?,
            log,
            said: Mutex::default(),
        })
    }

    /// Looks whether both still lie there; to be called before every transaction
    /// that writes. The log is told once of each change.
    ///
    /// # Errors
    /// They do not: nothing may be written. It is over when the same file is back.
    pub fn check(&self) -> Result<(), Moved> {
        let now = self.look();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match (&now, &*said) {
            (Err(moved), before) if before.as_ref() != Some(moved) => {
                tracing::error!("{moved}; nothing more is written to it: {}", moved.advice);
            }
            (Ok(()), Some(_)) => tracing::info!(
                file = %self.database.path.display(),
                "the file is back where it was opened; it is written again"
            ),
            _ => {}
        }
        *said = now.as_ref().err().cloned();
        now
    }

    fn look(&self) -> Result<(), Moved> {
        let shown = self.database.path.display();
        self.database.look(
            "put it back, or put a backup in its place and restart wpkd",
            "restart wpkd, which then uses that one, or put the first one back",
        )?;
        let Some(log) = &self.log else {
            return Ok(());
        };
        // When it is closed in order the log is put into the database.
        let restart = format!("restart wpkd, which puts what it holds into {shown} before it ends");
        log.look(&restart, &restart)
    }
}

impl Open {
    fn of(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }

    /// What to do is said for a file that was removed, and for one that was replaced.
    fn look(&self, removed: &str, replaced: &str) -> Result<(), Moved> {
        let shown = self.path.display();
        let (what, advice) = match identity(&self.path) {
            Ok(same) if same == self.identity => return Ok(()),
            Ok(_) => (
                "was replaced by another file while it was open".to_owned(),
                replaced,
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ("was removed while it was open".to_owned(), removed)
            }
            Err(error) => (
                format!("cannot be looked at any more: {error}"),
                "give its folder back to the user wpkd runs as",
            ),
        };
        Err(Moved {
            what: format!("{shown} {what}"),
            advice: advice.to_owned(),
        })
    }
}

pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = path.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

/// A file that SQLite keeps beside the database.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an open database, and its place.
    fn open() -> (tempfile::TempDir, PathBuf, Place, rusqlite::Connection) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection.execute_batch("CREATE TABLE t(x)").unwrap();
        let place = Place::of(&file).unwrap();
        (folder, file, place, connection)
    }

    #[test]
    fn a_file_that_is_moved_away_and_back_is_the_same() {
        let (folder, file, place, _connection) = open();
        let away = folder.path().join("away.db");
        place.check().unwrap();
        std::fs::rename(&file, &away).unwrap();
        let moved = place.check().unwrap_err().to_string();
        assert!(moved.contains("a.db was removed"), "{moved}");
        std::fs::rename(&away, &file).unwrap();
        place.check().unwrap();
    }

    #[test]
    fn a_copy_in_its_place_is_another_file() {
        let (folder, file, place, _connection) = open();
        let copy = folder.path().join("copy.db");
        std::fs::copy(&file, &copy).unwrap();
        std::fs::rename(&copy, &file).unwrap();
        let moved = place.check().unwrap_err().to_string();
        assert!(moved.contains("a.db was replaced"), "{moved}");
    }

    #[test]
    fn the_log_belongs_to_it() {
        let (_folder, file, place, _connection) = open();
        std::fs::remove_file(beside(&file, "-wal")).unwrap();
        let moved = place.check().unwrap_err().to_string();
        assert!(moved.contains("a.db-wal was removed"), "{moved}");
    }
}
