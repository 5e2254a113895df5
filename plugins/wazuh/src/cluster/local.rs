//! Our own file: what a worker must remember and the master has no place for. Here
//! it is opened, and what concerns the node as a whole is kept; its tasks are in
//! `rows`, what is told of them in `history`.
//!
//! Each function is one transaction, on disk when it returns.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use wpk_api::StoreError;
use wpk_sqlite_file::{Faults, Place};

use super::tables::{LAYOUT, TABLES};

/// How long another program's lock is waited for (a backup, a curious `sqlite3`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do about a damaged file.
const ADVICE: Faults = Faults {
    damaged: "move it away and start again: tasks that wait at the master are taken up by the \
              next request for their agents",
};

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Local {
    file: Arc<PathBuf>,
    place: Arc<Place>,
    connection: Arc<Mutex<Connection>>,
}

impl Local {
    /// Opens the file or makes it, 0640, absent folders 0750. Blocks for the
    /// time that takes.
    pub(super) fn open(file: PathBuf) -> Result<Self, StoreError> {
        create(&file).map_err(|error| {
            StoreError::Unavailable(format!(
                "{}: cannot be created: {error}; the user of this program must be able to write its folder",
                file.display()
            ))
        })?;
        let open = || -> rusqlite::Result<(Connection, String)> {
            let connection = Connection::open(&file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.execute_batch("PRAGMA synchronous = FULL;")?;
            connection.execute_batch(TABLES)?;
            let layout = get(&connection, "layout")?.unwrap_or_default();
            Ok((connection, layout))
        };
        let (connection, layout) = open().map_err(|error| fault(&file, &error))?;
        if layout != LAYOUT {
            return Err(StoreError::Damaged(format!(
                "{}: its layout is {layout:?} and this version knows {LAYOUT:?}; use the version \
                 of wpkd that wrote it, or move it away",
                file.display()
            )));
        }
        let place = Place::of(&file).map_err(|error| {
            StoreError::Unavailable(format!("{}: cannot be looked at: {error}", file.display()))
        })?;
        Ok(Self {
            file: Arc::new(file),
            place: Arc::new(place),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs one transaction where it may block.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let local = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let lock = local.connection.lock();
            let mut connection = lock.unwrap_or_else(PoisonError::into_inner);
            (local.place.check()).map_err(|moved| StoreError::Unavailable(moved.to_string()))?;
            let whole = |connection: &mut Connection| {
                let whole = connection.transaction()?;
                let result = work(&whole)?;
                whole.commit()?;
                Ok(result)
            };
            whole(&mut connection).map_err(|error| fault(&local.file, &error))
        });
        done.await.unwrap_or_else(|ended| {
            Err(StoreError::Unavailable(format!(
                "{}: {ended}",
                self.file.display()
            )))
        })
    }

    /// Forgets what has not begun, of which the master has still to be told; returns
    /// how many waited.
    pub(super) async fn cancel(&self) -> Result<u64, StoreError> {
        self.run(|connection| {
            let waited: i64 = connection.query_row(
                "SELECT count(*) FROM WORKER_TASKS WHERE STATE = 'waiting'",
                [],
                |row| row.get(0),
            )?;
            connection.execute("DELETE FROM WORKER_TASKS WHERE STATE <> 'running'", [])?;
            set(connection, "cancel", "due")?;
            Ok(waited.unsigned_abs())
        })
        .await
    }

    /// Whether the master has still to be told to cancel what waited.
    pub(super) async fn cancel_is_due(&self) -> Result<bool, StoreError> {
        self.run(|connection| Ok(get(connection, "cancel")?.is_some()))
            .await
    }

    /// The master was told.
    pub(super) async fn cancel_is_done(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            connection
                .execute("DELETE FROM METADATA WHERE key = 'cancel'", [])
                .map(|_| ())
        })
        .await
    }

    /// The dialect the master was last seen to speak, if it was remembered. May
    /// block; for the start.
    pub(super) fn dialect(&self) -> Result<Option<String>, StoreError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        get(&connection, "dialect").map_err(|error| fault(&self.file, &error))
    }

    /// Remembers the dialect; writes only if it is another one than before.
    pub(super) async fn set_dialect(&self, dialect: &'static str) -> Result<(), StoreError> {
        self.run(move |connection| {
            if get(connection, "dialect")?.as_deref() == Some(dialect) {
                return Ok(());
            }
            set(connection, "dialect", dialect)
        })
        .await
    }
}

fn fault(file: &Path, error: &rusqlite::Error) -> StoreError {
    wpk_sqlite_file::fault(file, error, ADVICE)
}

fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM METADATA WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
}

fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO METADATA (key, value) VALUES (?1, ?2)",
            [key, value],
        )
        .map(|_| ())
}

/// Makes an empty file, which SQLite takes for an empty database. The log
/// beside it gets the rights of the file.
fn create(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
    }
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(file);
    match new {
        // Whatever the umask.
        Ok(new) => new.set_permissions(Permissions::from_mode(0o640)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
