//! What SQLite says of our own file, in the words of [`StoreError`].

use std::path::Path;

use rusqlite::ErrorCode;
use wpk_api::StoreError;

/// The error a caller sees; it names the file, and says no more than was said:
/// only a disk that SQLite calls full is called full.
pub(super) fn fault(file: &Path, error: &rusqlite::Error) -> StoreError {
    let file = file.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(format!("{file}: {error}")),
        // Reading fails like this too, and so does a disk that is about to die.
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!(
            "{file}: {error} (the disk is failing, or a quota is used up: see the system's log)"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::Unavailable(format!(
                "{file}: {error}; the user of this program must be able to write the file and \
                 its folder"
            ))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(format!(
            "{file}: {error}; move it away and start again: tasks that wait at the master are \
             taken up by the next request for their agents"
        )),
        _ => StoreError::Unavailable(format!("{file}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, ffi};

    fn told(code: i32) -> StoreError {
        let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        fault(Path::new("/x/worker.db"), &failure)
    }

    #[test]
    fn a_failing_disk_is_not_called_full() {
        for code in [
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            let error = told(code);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("/x/worker.db: "), "{text}");
            assert!(text.contains("I/O error"), "{text}");
            assert!(!text.contains("free disk space"), "{text}");
        }
    }

    #[test]
    fn a_file_that_may_not_be_written_is_a_matter_of_rights() {
        let error = told(ffi::SQLITE_READONLY);
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
        let error = fault(Path::new("/x/worker.db"), &error);
        assert!(matches!(&error, StoreError::Full(text) if text.contains("/x/worker.db")));
    }

    #[test]
    fn what_is_no_database_is_damaged() {
        let error = told(ffi::SQLITE_NOTADB);
        assert!(matches!(&error, StoreError::Damaged(text) if text.contains("move it away")));
    }
}
