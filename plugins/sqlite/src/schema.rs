//! The tables (protocol.md, section 3), and making peace with what another
//! program did to them: the file may come from a 4.x manager, whose built-in
//! module may have worked on it while we were away and may do so again.
//!
//! Beside the manager's `TASKS` and `METADATA` there are, all named `WPKD_`:
//! - `WPKD_ORDERS`: how to carry a live task out, and when its installer was
//!   begun. The row goes when the task ends.
//! - `WPKD_LIVE`: the one exclusive live task of an agent, by its primary key.
//! - `WPKD_METADATA`: the version of these tables.
//! - three indexes on `TASKS`. They and the tables are all that is added, no
//!   triggers: whoever goes back to the built-in module may drop them or not.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::fault::Fault;

/// Files up to this size, in bytes, are looked through when opened; longer ones
/// would hold up the start.
const LOOK_THROUGH: u64 = 64 << 20;

/// The columns `TASKS` must have.
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

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS TASKS (
    TASK_ID INTEGER PRIMARY KEY AUTOINCREMENT,
    AGENT_ID INT,
    NODE TEXT,
    MODULE TEXT,
    COMMAND TEXT,
    CREATE_TIME INTEGER,
    LAST_UPDATE_TIME INTEGER,
    STATUS TEXT,
    ERROR_MESSAGE TEXT
);
CREATE TABLE IF NOT EXISTS METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO METADATA (key, value) VALUES ('db_version', '1');

CREATE TABLE IF NOT EXISTS WPKD_METADATA (key TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO WPKD_METADATA (key, value) VALUES ('layout', '1');
CREATE TABLE IF NOT EXISTS WPKD_ORDERS (
    TASK_ID INTEGER PRIMARY KEY,
    TASK_ORDER TEXT,
    INSTALLER_BEGUN INTEGER
);
CREATE TABLE IF NOT EXISTS WPKD_LIVE (
    AGENT_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS WPKD_TASKS_AGENT ON TASKS (AGENT_ID);
CREATE INDEX IF NOT EXISTS WPKD_TASKS_LIVE ON TASKS (AGENT_ID)
    WHERE STATUS IN ('Pending', 'In progress');
CREATE INDEX IF NOT EXISTS WPKD_TASKS_WORK ON TASKS (STATUS, NODE)
    WHERE STATUS IN ('Pending', 'In progress');
";

/// Forgets what belongs to tasks that were ended or deleted behind our back.
const HEAL: &str = "
DELETE FROM WPKD_LIVE WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_LIVE.TASK_ID
        AND t.AGENT_ID = WPKD_LIVE.AGENT_ID AND t.STATUS IN ('Pending', 'In progress'));
DELETE FROM WPKD_ORDERS WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_ORDERS.TASK_ID
        AND t.STATUS IN ('Pending', 'In progress'));
";

/// Refuses a file that is no task database we understand. Changes nothing.
pub(crate) fn check(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let columns = columns(connection, "TASKS")?;
    if !columns.is_empty() {
        for wanted in COLUMNS {
            if !columns.iter().any(|have| have.eq_ignore_ascii_case(wanted)) {
                return Err(unknown(format!("it has no column TASKS.{wanted}")));
            }
        }
        let keyed: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('TASKS') \
             WHERE name = 'TASK_ID' COLLATE NOCASE AND type = 'INTEGER' COLLATE NOCASE AND pk = 1)",
            [],
            |row| row.get(0),
        )?;
        if !keyed {
            return Err(unknown(
                "TASK_ID is not the key of its table TASKS".to_owned(),
            ));
        }
    }
    version(connection, "METADATA", "db_version")?;
    version(connection, "WPKD_METADATA", "layout")?;
    if std::fs::metadata(file).is_ok_and(|data| data.len() <= LOOK_THROUGH) {
        sound(connection)?;
    }
    Ok(())
}

/// Looks through the whole file, which takes its time.
pub(crate) fn sound(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Fault::Nonsense(format!(
        "{found}; restore the file from a backup, or move it away and start again with an empty \
         one"
    )))
}

/// Whether there is a table of tasks.
pub(crate) fn has_tasks(connection: &Connection) -> Result<bool, Fault> {
    Ok(!columns(connection, "TASKS")?.is_empty())
}

/// Makes what is absent and heals what is stale, in one transaction.
pub(crate) fn create(connection: &Connection) -> Result<(), Fault> {
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(HEAL)?;
    transaction.commit()?;
    Ok(())
}

/// The names of a table's columns; none if there is no such table.
fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Checks that a table of keys and values, if there is one, says version 1 or nothing.
fn version(connection: &Connection, table: &str, key: &str) -> Result<(), Fault> {
    if columns(connection, table)?.is_empty() {
        return Ok(());
    }
    let found: Option<Option<String>> = connection
        .query_row(
            &format!("SELECT CAST(value AS TEXT) FROM {table} WHERE key = ?1"),
            [key],
            |row| row.get(0),
        )
        .optional()?;
    match found.flatten() {
        Some(other) if other != "1" => Err(unknown(format!(
            "{table}.{key} is {:?} where 1 is expected",
            other.chars().take(32).collect::<String>()
        ))),
        _ => Ok(()),
    }
}

fn unknown(what: String) -> Fault {
    Fault::Nonsense(format!(
        "{what}; it was made by another version or another program: use the version that \
         made it, or set another path for the store"
    ))
}
