//! What `wpkctl doctor` is told of the task database: sound, of a form that the
//! store takes, what it holds (`tasks`), whether those who are told of changes come along
//! (`readers`), and whether it can grow (`room`). It is opened to be read and nothing
//! else; not even a file beside it is made.

mod readers;
mod room;
mod tasks;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use wpk_api::examine::{Check, Examine};

use crate::fault::Fault;
use crate::schema;

const NAME: &str = "task database";
/// How long another program's lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the file.
pub(crate) async fn examine(file: PathBuf, node: String, asked: &Examine) -> Vec<Check> {
    let task_timeout = asked.task_timeout.map(|span| span.0);
    let look = tokio::task::spawn_blocking(move || {
        let mut checks = vec![look(&file, task_timeout)];
        checks.extend(room::look(&file));
        // What keeps them from being read is told above.
        checks.extend(more(&file, &node).unwrap_or_default());
        checks
    });
    look.await.unwrap_or_else(|error| {
        let detail = format!("it cannot be looked at: {error}");
        vec![Check::failure(NAME, detail, "")]
    })
}

/// Why the store would not open it, as far as that can be told without writing.
pub(crate) fn unusable(file: &Path) -> Option<String> {
    if let Some(misplaced) = wpk_sqlite_file::misplaced(file) {
        return Some(misplaced);
    }
    if !file.exists() {
        return None;
    }
    let checked = open(file).and_then(|connection| schema::check(&connection, file));
    let error = checked.err()?.at(file);
    Some(format!(
        "{error}; restore the file from a backup or move it away"
    ))
}

/// What its tasks tell beside their number, where that is not well.
fn more(file: &Path, node: &str) -> Result<Vec<Check>, Fault> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let connection = open(file)?;
    schema::check(&connection, file)?;
    if !schema::has_tasks(&connection)? {
        return Ok(Vec::new());
    }
    let found = [
        tasks::ahead(&connection)?,
        tasks::elsewhere(&connection, node)?,
    ];
    let mut found: Vec<Check> = found.into_iter().flatten().collect();
    found.extend(readers::behind(&connection)?);
    Ok(found)
}

fn look(file: &Path, task_timeout: Option<Duration>) -> Check {
    let shown = file.display();
    if let Some(failure) = wpk_sqlite_file::examine(NAME, file) {
        return failure;
    }
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let detail = format!("{shown} is not there yet");
            return Check::warning(NAME, detail, "wpkd makes it when it first starts");
        }
        Err(error) => {
            let detail = format!("{shown}: {error}");
            return Check::failure(NAME, detail, "ask as root or as the user of wpkd");
        }
    };
    if meta.mode() & 0o002 != 0 {
        let detail = format!("every user may write to {shown}");
        return Check::failure(NAME, detail, format!("chmod 0660 {shown}"));
    }
    read(file, task_timeout).unwrap_or_else(|fault| {
        let advice = "stop wpkd, then restore the file from a backup or move it away";
        Check::failure(NAME, fault.at(file).to_string(), advice)
    })
}

fn read(file: &Path, task_timeout: Option<Duration>) -> Result<Check, Fault> {
    let connection = open(file)?;
    // As the store does before it takes a file; and whole, however large it is.
    schema::check(&connection, file)?;
    schema::sound(&connection)?;
    let shown = file.display();
    if !schema::has_tasks(&connection)? {
        let detail = format!("{shown} is sound, and has no tables yet");
        return Ok(Check::ok(NAME, detail));
    }
    let mut statement = connection
        .prepare("SELECT COALESCE(STATUS, ''), COUNT(*) FROM TASKS GROUP BY 1 ORDER BY 1")?;
    let counts: BTreeMap<String, i64> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let total: i64 = counts.values().sum();
    let each: Vec<String> = counts
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let detail = match total {
        0 => format!("{shown} is sound, no tasks"),
        _ => format!("{shown} is sound, {total} tasks: {}", each.join(", ")),
    };
    let overdue = match task_timeout {
        Some(limit) => overdue(&connection, limit)?,
        None => 0,
    };
    if overdue > 0 {
        let detail = format!("{detail}; {overdue} in progress should have timed out long ago");
        let advice = "start wpkd, and look into its log";
        return Ok(Check::warning(NAME, detail, advice));
    }
    Ok(Check::ok(NAME, detail))
}

/// Tasks that the task manager should have ended by now.
fn overdue(connection: &Connection, task_timeout: Duration) -> Result<i64, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // Twice the time: the task manager looks now and then, not all the time.
    let limit = now.unwrap_or_default().saturating_sub(task_timeout * 2);
    Ok(connection.query_row(
        "SELECT COUNT(*) FROM TASKS WHERE STATUS = 'In progress' \
         AND COALESCE(NULLIF(LAST_UPDATE_TIME, 0), CREATE_TIME) < ?1",
        [i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)],
        |row| row.get(0),
    )?)
}

/// Opens the file to read. One in WAL mode that nobody has open is read as it
/// lies there, since SQLite would make files beside it.
fn open(file: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let connection = if in_wal_mode(file) && !Path::new(&log).exists() {
        Connection::open_with_flags(immutable(file), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(file, flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The file's header says which journal it has (byte 18).
fn in_wal_mode(file: &Path) -> bool {
    let mut header = [0; 20];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.get(18) == Some(&2)
}

/// The file as a URI that says that nobody changes it.
fn immutable(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing into memory cannot fail.
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::examine::Level;

    #[test]
    fn an_odd_path_is_the_same_file_as_a_uri() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a?b%41 #ü.db");
        let store = crate::SqliteStore::open(&file).unwrap();
        drop(store);
        assert!(in_wal_mode(&file));
        let count = || folder.path().read_dir().unwrap().count();
        let before = count();
        let check = look(&file, None);
        assert_eq!(check.level, Level::Ok, "{check}");
        assert_eq!(count(), before, "no file beside it");
    }

    #[test]
    fn an_empty_file_is_one_that_the_store_takes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        std::fs::write(&file, "").unwrap();
        let check = look(&file, None);
        assert!(check.detail.ends_with("has no tables yet"), "{check}");
        drop(crate::SqliteStore::open(&file).unwrap());
    }

    #[test]
    fn what_the_store_refuses_is_a_failure_in_the_same_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE METADATA (key TEXT PRIMARY KEY, value TEXT);
                 INSERT INTO METADATA VALUES ('db_version', '77');",
            )
            .unwrap();
        drop(connection);
        let check = look(&file, None);
        let refused = crate::SqliteStore::open(&file).unwrap_err().to_string();
        assert_eq!((check.level, check.detail), (Level::Failure, refused));
    }
}
