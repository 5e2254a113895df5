//! What SQLite says, in the words of [`StoreError`].

use std::path::Path;

use rusqlite::{Error, ErrorCode};
use wpk_api::StoreError;

/// What to do, where that depends on whose file it is.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// About a file that is damaged.
    pub damaged: &'static str,
}

/// The error a caller sees; it names the file, and says no more than was said:
/// only a disk that SQLite calls full is called full.
pub fn fault(file: &Path, error: &Error, advice: Faults) -> StoreError {
    let file = file.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(format!("{file}: {error}")),
        // A quota shows like this, and so does a disk that is about to die.
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!(
            "{file}: {error} (the disk is failing, or a quota or a limit on the size of files \
             is used up: see the system's log)"
        )),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(format!("{file}: {error}; {}", advice.damaged))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable(format!(
                "{file}: another program keeps it locked ({error}); end that program or try again"
            ))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::Unavailable(format!(
                "{file}: {error}; the user of this program must be able to write the file and \
                 its folder"
            ))
        }
        _ => StoreError::Unavailable(format!("{file}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, ffi};

    fn file() -> &'static Path {
        Path::new("/x/a.db")
    }

    fn told(error: &Error) -> StoreError {
        let damaged = "move it away";
        let error = fault(file(), error, Faults { damaged });
        assert!(error.to_string().contains("/x/a.db: "), "{error}");
        error
    }

    fn told_code(code: i32) -> StoreError {
        told(&Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn a_failing_disk_is_not_called_full() {
        for code in [
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            let error = told_code(code);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("I/O error"), "{text}");
            assert!(text.contains("failing"), "{text}");
            assert!(!text.contains("free disk space"), "{text}");
        }
    }

    #[test]
    fn a_file_that_may_not_be_written_is_a_matter_of_rights() {
        let error = told_code(ffi::SQLITE_READONLY);
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("must be able to write"));
    }

    #[test]
    fn a_file_that_may_not_grow_is_full() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t(x); PRAGMA max_page_count = 2;")
            .unwrap();
        let error = connection
            .execute("INSERT INTO t VALUES (zeroblob(100000))", [])
            .unwrap_err();
        assert!(matches!(told(&error), StoreError::Full(_)), "{error:?}");
    }

    #[test]
    fn what_is_no_database_is_damaged() {
        let error = told_code(ffi::SQLITE_NOTADB);
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains("move it away")));
    }

    #[test]
    fn what_nobody_foresaw_names_the_file_too() {
        let connection = Connection::open_in_memory().unwrap();
        told(&connection.execute("SELECT nonsense", []).unwrap_err());
    }
}
