//! What SQLite says, in the words of [`StoreError`].

use std::path::Path;

use rusqlite::ErrorCode;
use wpk_api::StoreError;
use wpk_sqlite_file::{Faults, Moved, fault};

/// Why a statement, or the call it belongs to, failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's own word.
    Sqlite(rusqlite::Error),
    /// The file does not lie any more where it was opened.
    Moved(Moved),
    /// Another daemon has the file by now.
    Fenced(String),
    /// What is stored makes no sense, or what should be stored cannot be.
    Nonsense(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What to do about a damaged file.
const ADVICE: Faults = Faults {
    damaged: "restore the file from a backup, or move it away and start again with an empty one",
};

impl Fault {
    /// The error a caller sees; it names the file.
    pub(crate) fn at(&self, file: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => fault(file, error, ADVICE),
            Self::Moved(moved) => StoreError::Unavailable(moved.to_string()),
            Self::Fenced(text) => StoreError::Fenced(format!("{}: {text}", file.display())),
            Self::Nonsense(text) => StoreError::Damaged(format!("{}: {text}", file.display())),
        }
    }

    /// Whether something could not be written for want of room, as far as that can
    /// be told: a quota shows as an I/O error.
    pub(crate) fn wants_room(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Moved(_) | Self::Fenced(_) | Self::Nonsense(_) => None,
        };
        matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_the_file() {
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_WRITE);
        for error in [
            Fault::from(rusqlite::Error::SqliteFailure(failure, None)),
            Fault::Nonsense("no column STATUS".into()),
        ] {
            let error = error.at(Path::new("/x/tasks.db"));
            assert!(error.to_string().contains("/x/tasks.db"), "{error}");
        }
    }
}
