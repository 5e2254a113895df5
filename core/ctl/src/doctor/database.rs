//! The task database: sound, of the known form, and what it holds. It is opened
//! to be read and nothing else; not even a file beside it is made.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use wpk_api::{Role, paths};
use wpk_config::Settings;

use super::report::Check;

const NAME: &str = "task database";
/// The columns of `TASKS` (protocol.md, section 3).
const COLUMNS: [&str; 9] = [
    "TASK_ID",
    "AGENT_ID",
    "NODE",
    "MODULE",
    "COMMAND",
    "CREATE_TIME",
    "LAST_UPDATE_TIME",
    "STATUS",
    "ERROR_MESSAGE",
];

/// Looks at it, where it is one of SQLite and of this node.
pub(super) fn look(settings: &Settings) -> Check {
    if settings.node.role == Role::Worker {
        return Check::ok(NAME, "this node is a worker: the master keeps the tasks");
    }
    let store = settings.store.as_ref();
    if let Some(other) = store.filter(|store| store.kind != "sqlite") {
        let detail = format!("not looked at: store.type is {:?}", other.kind);
        return Check::ok(NAME, detail);
    }
    let path = store.and_then(|store| store.settings.get("path"));
    let path = path.and_then(serde_json::Value::as_str);
    let file = settings.path(path.unwrap_or(paths::TASK_DATABASE));
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let detail = format!("{} is not there yet", file.display());
            return Check::warning(NAME, detail, "wpkd makes it when it first starts");
        }
        Err(error) => {
            let detail = format!("{}: {error}", file.display());
            return Check::failure(NAME, detail, "ask as root or as the user of wpkd");
        }
    };
    if meta.mode() & 0o002 != 0 {
        let detail = format!("every user may write to {}", file.display());
        return Check::failure(NAME, detail, format!("chmod 0660 {}", file.display()));
    }
    let timeout = settings.tasks.task_timeout.0;
    read(&file, timeout).unwrap_or_else(|error| {
        let detail = format!("{}: {error}", file.display());
        Check::failure(NAME, detail, BROKEN)
    })
}

const BROKEN: &str = "stop wpkd, then restore the file from a backup or move it away";

fn read(file: &Path, task_timeout: Duration) -> rusqlite::Result<Check> {
    let shown = file.display();
    let connection = open(file)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Check::failure(NAME, format!("{shown}: {found}"), BROKEN));
    }
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info('TASKS')")?;
    let columns: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let absent = |wanted: &&&str| !columns.iter().any(|have| have.eq_ignore_ascii_case(wanted));
    if let Some(column) = COLUMNS.iter().find(absent) {
        let detail = format!("{shown} has no column TASKS.{column}");
        return Ok(Check::failure(NAME, detail, "is store.path right?"));
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
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // Twice the time: the task manager looks now and then, not all the time.
    let limit = now.saturating_sub(task_timeout * 2).as_secs();
    let stale: i64 = connection.query_row(
        "SELECT COUNT(*) FROM TASKS WHERE STATUS = 'In progress' \
         AND COALESCE(NULLIF(LAST_UPDATE_TIME, 0), CREATE_TIME) < ?1",
        [i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get(0),
    )?;
    if stale > 0 {
        let detail = format!("{detail}; {stale} in progress should have timed out long ago");
        return Ok(Check::warning(
            NAME,
            detail,
            "start wpkd, and look into its log",
        ));
    }
    Ok(Check::ok(NAME, detail))
}

/// Opens the file to read. One in WAL mode that nobody has open is read as it
/// lies there, since SQLite would make files beside it.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let connection = if in_wal_mode(file) && !Path::new(&log).exists() {
        Connection::open_with_flags(uri(file), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(file, flags)?
    };
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// The file's header says which journal it has (byte 18).
fn in_wal_mode(file: &Path) -> bool {
    let mut header = [0; 20];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.get(18) == Some(&2)
}

fn uri(file: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path: String = file
        .as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'/' | b'.' | b'_' | b'-' => char::from(*byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("%{byte:02x}"),
        })
        .collect();
    format!("file:{path}?immutable=1")
}
