//! The file and the connections to it. [`SqliteStore::open`](crate::SqliteStore::open)
//! enters here once, before there are threads.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use wpk_api::StoreError;
use wpk_sqlite_file::Place;

use crate::fault::Fault;
use crate::lock::Lock;
use crate::schema;

/// How long a connection waits for another program's lock. Nothing of ours
/// waits for a lock of ours: there is one writer, and WAL readers need none.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared per connection; more than there are.
const STATEMENTS: usize = 128;

/// Opens the connection that writes: makes folders, file and tables if absent,
/// checks what is there.
pub(crate) fn writer(file: &Path) -> Result<(Connection, Place, Lock), StoreError> {
    create(file).map_err(|error| {
        StoreError::Unavailable(format!(
            "{}: cannot be created: {error}; the user of this program must be able to write its folder",
            file.display()
        ))
    })?;
    let lock = Lock::take(file)?;
    let open = || -> Result<Connection, Fault> {
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Asked before anything is written: a file that is no task database
        // stays as it is.
        schema::check(&connection, file)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(Fault::Nonsense(format!(
                "its file system cannot hold a write-ahead log (journal mode {mode}); \
                 keep the file on a local file system"
            )));
        }
        // FULL: a commit is on disk when it returns. The log is cut back after
        // a large transaction, so that it does not keep its largest size. Who puts it back
        // into the file is the thread that writes, when nobody waits for it.
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; \
             PRAGMA cache_size = -4000; PRAGMA wal_autocheckpoint = 0;",
        )?;
        schema::create(&connection)?;
        Ok(connection)
    };
    let connection = open().map_err(|fault| fault.at(file))?;
    let place = Place::of(file).map_err(|error| {
        StoreError::Unavailable(format!("{}: cannot be looked at: {error}", file.display()))
    })?;
    Ok((connection, place, lock))
}

/// Opens a connection that only reads. The writer must be open.
pub(crate) fn reader(file: &Path) -> Result<Connection, StoreError> {
    let open = || -> Result<Connection, Fault> {
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8000;")?;
        Ok(connection)
    };
    open().map_err(|fault| fault.at(file))
}

fn connect(file: &Path, mode: OpenFlags) -> Result<Connection, Fault> {
    // Each connection belongs to one thread: no mutex. No URI: a path is a path.
    let connection = Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without this a prepared statement is compiled again for every new value,
    // because a value might prove that a partial index can be used.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Makes the folders of a file.
pub(crate) fn create_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => (DirBuilder::new().recursive(true).mode(0o750)).create(folder),
        None => Ok(()),
    }
}

/// Gives a new file its rights.
pub(crate) fn with_rights(new: &File) -> io::Result<()> {
    new.set_permissions(Permissions::from_mode(0o660))
}

/// Makes an empty file, which SQLite takes for an empty database, and its
/// folders. An existing file keeps its rights. SQLite gives the log beside it
/// the rights of the file.
fn create(file: &Path) -> io::Result<()> {
    create_folder(file)?;
    // The file is never opened and closed here once SQLite has it: closing any
    // descriptor of it would drop the locks of the whole process.
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o660)
        .open(file)
    {
        Ok(new) => {
            // Whatever the umask: the manager's own programs share the group.
            with_rights(&new)?;
            match file.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
