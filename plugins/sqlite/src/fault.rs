//! What SQLite says, in the three words of [`StoreError`].

use std::path::Path;

use rusqlite::ErrorCode;
use wpk_api::StoreError;

/// Why a statement, or the call it belongs to, failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's own word.
    Sqlite(rusqlite::Error),
    /// What is stored makes no sense, or what should be stored cannot be.
    Nonsense(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// The error a caller sees; it names the file.
    pub(crate) fn at(&self, file: &Path) -> StoreError {
        let file = file.display();
        let error = match self {
            Self::Sqlite(error) => error,
            Self::Nonsense(text) => return StoreError::Damaged(format!("{file}: {text}")),
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => {
                StoreError::Full(format!("{file}: {error}"))
            }
            // A quota shows like this, and so does a disk that is about to die.
            Some(ErrorCode::SystemIoFailure) => StoreError::Full(format!(
                "{file}: {error} (if there is space, a quota is used up or the disk is failing: \
                 see the system's log)"
            )),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(format!(
                    "{file}: {error}; restore the file from a backup, or move it away and \
                     start again with an empty one"
                ))
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Unavailable(format!(
                    "{file}: another program keeps it locked ({error}); end that program or try again"
                ))
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                StoreError::Unavailable(format!(
                    "{file}: {error}; the user of this program must be able to write the file and its folder"
                ))
            }
            _ => StoreError::Unavailable(format!("{file}: {error}")),
        }
    }

    /// As [`at`](Self::at), while the file is being opened: a file that may not
    /// be written is then a matter of rights, not of space.
    pub(crate) fn opening(&self, file: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
                StoreError::Unavailable(format!(
                    "{}: {error}; the user of this program must be able to write the file and its folder",
                    file.display()
                ))
            }
            other => other.at(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn file() -> &'static Path {
        Path::new("/x/tasks.db")
    }

    #[test]
    fn a_database_that_may_not_grow_is_full() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t(x); PRAGMA max_page_count = 2;")
            .unwrap();
        let error = connection
            .execute("INSERT INTO t VALUES (zeroblob(100000))", [])
            .unwrap_err();
        let error = Fault::from(error).at(file());
        assert!(matches!(&error, StoreError::Full(text) if text.contains("/x/tasks.db")));
    }

    #[test]
    fn a_failing_disk_is_not_just_called_full() {
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
        let error = Fault::from(rusqlite::Error::SqliteFailure(failure, None)).at(file());
        assert!(matches!(&error, StoreError::Full(text) if text.contains("failing")));
    }

    #[test]
    fn every_error_names_the_file() {
        let connection = Connection::open_in_memory().unwrap();
        let error = connection.execute("SELECT nonsense", []).unwrap_err();
        for error in [
            Fault::from(error).at(file()),
            Fault::Nonsense("no column STATUS".into()).at(file()),
        ] {
            assert!(error.to_string().contains("/x/tasks.db"), "{error}");
        }
    }
}
