//! The tables (PROTOCOL.md, section 3), and making peace with what another
//! program did to them: the file may come from a 4.x manager, whose built-in
//! module may have worked on it while we were away and may do so again.
//!
//! Beside the manager's `TASKS` and `METADATA` there are, all named `WPKD_`:
//! - `WPKD_ORDERS`: for each task of ours how to carry it out (until it ends),
//!   when it was taken and its installer begun, how many crashes interrupted it,
//!   which version it was begun with, and whether the agent runs that. The row goes
//!   with the task.
//! - `WPKD_LIVE`: the one exclusive live task of an agent, by its primary key.
//! - `WPKD_TIMELINE`: what happened to each task, step by step.
//! - `WPKD_CHANGES`: the feed of changes; what of a task never changes stands
//!   only in `TASKS` for as long as it is there.
//! - `WPKD_READERS`: how far readers of the feed have come.
//! - `WPKD_IMPORTED`: the tasks that another program made, and under which id each
//!   stands there.
//! - `WPKD_MOVED`: the tasks of ours that stand there under another id than here, since
//!   something else had theirs.
//! - `WPKD_HELD`: the tasks without an order here whose node holds it.
//! - `WPKD_ENTRIES`: which run of a daemon has the file, counted.
//! - `WPKD_DOCUMENTS`: what is kept beside tasks; `WPKD_FENCES`: the tasks that were made
//!   for one.
//! - `WPKD_NEWEST`: the newest upgrade task of each agent.
//! - `WPKD_RESERVE`: room for a disk that is full, one row of a MiB.
//! - `WPKD_METADATA`: the version of these tables, and of the newest document.
//! - five indexes on `TASKS` (releases before had one of all tasks by their agent in the place
//!   of that of the ended ones), and the trigger `WPKD_TASK_MADE`, which notes the newest task
//!   of an agent whoever made it. They and the tables are all that is added: whoever goes
//!   back to the built-in module may drop them or not.
//!
//! Layout 1 (the first release) had no timeline and no feed, and forgot the
//! order of a task when it ended: what had ended then counts as a task without
//! an order. Layout 2 (the second) had neither entries nor documents, and no node of its
//! own in the feed. Layout 3 (the third) had no marks, and did not know what lies at an agent. An older release refuses a newer layout, of which it would not keep
//! the fences.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use wpk_sqlite_file::tasks::{columns_of, missing};

use crate::fault::Fault;
use crate::{feed, newest};

/// Files up to this size, in bytes, are looked through when opened; longer ones
/// would hold up the start.
const LOOK_THROUGH: u64 = 64 << 20;

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
CREATE TABLE IF NOT EXISTS WPKD_ORDERS (
    TASK_ID INTEGER PRIMARY KEY,
    TASK_ORDER TEXT,
    INSTALLER_BEGUN INTEGER
);
CREATE TABLE IF NOT EXISTS WPKD_TIMELINE (
    ENTRY_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER NOT NULL,
    ENTRY TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS WPKD_TIMELINE_TASK ON WPKD_TIMELINE (TASK_ID);
CREATE TABLE IF NOT EXISTS WPKD_CHANGES (
    REVISION INTEGER PRIMARY KEY AUTOINCREMENT,
    TASK_ID INTEGER NOT NULL,
    STATUS TEXT,
    LAST_UPDATE_TIME INTEGER,
    ERROR_MESSAGE TEXT,
    CONFIRMATION TEXT,
    GONE TEXT
);
CREATE INDEX IF NOT EXISTS WPKD_CHANGES_TASK ON WPKD_CHANGES (TASK_ID);
CREATE TABLE IF NOT EXISTS WPKD_READERS (NAME TEXT PRIMARY KEY, PLACE INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS WPKD_IMPORTED (
    TASK_ID INTEGER PRIMARY KEY,
    SHOWN_ID INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS WPKD_IMPORTED_SHOWN ON WPKD_IMPORTED (SHOWN_ID);
CREATE TABLE IF NOT EXISTS WPKD_MOVED (
    TASK_ID INTEGER PRIMARY KEY,
    SHOWN_ID INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS WPKD_MOVED_SHOWN ON WPKD_MOVED (SHOWN_ID);
CREATE TABLE IF NOT EXISTS WPKD_HELD (TASK_ID INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS WPKD_ENTRIES (
    INCARNATION INTEGER PRIMARY KEY AUTOINCREMENT,
    NODE TEXT NOT NULL,
    HOST TEXT,
    PROCESS INTEGER,
    ENTERED INTEGER
);
CREATE TABLE IF NOT EXISTS WPKD_DOCUMENTS (
    KEY TEXT PRIMARY KEY,
    VERSION INTEGER NOT NULL,
    EPOCH INTEGER NOT NULL,
    KEEPS_TASKS INTEGER NOT NULL,
    TEXT TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS WPKD_FENCES (
    TASK_ID INTEGER PRIMARY KEY,
    KEY TEXT NOT NULL,
    EPOCH INTEGER NOT NULL,
    OPENS INTEGER NOT NULL,
    CLOSES INTEGER
);
CREATE INDEX IF NOT EXISTS WPKD_FENCES_KEY ON WPKD_FENCES (KEY, TASK_ID);
CREATE TABLE IF NOT EXISTS WPKD_RESERVE (ROOM BLOB);
CREATE TABLE IF NOT EXISTS WPKD_LIVE (
    AGENT_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS WPKD_NEWEST (
    AGENT_ID INTEGER PRIMARY KEY,
    TASK_ID INTEGER NOT NULL
);
CREATE TRIGGER IF NOT EXISTS WPKD_TASK_MADE AFTER INSERT ON TASKS
    WHEN NEW.COMMAND IN ('upgrade', 'upgrade_custom')
        AND NEW.AGENT_ID BETWEEN 0 AND 2147483647
BEGIN
    INSERT INTO WPKD_NEWEST (AGENT_ID, TASK_ID) VALUES (NEW.AGENT_ID, NEW.TASK_ID)
        ON CONFLICT (AGENT_ID) DO UPDATE SET TASK_ID = max(TASK_ID, excluded.TASK_ID);
END;
DROP INDEX IF EXISTS WPKD_TASKS_AGENT;
CREATE INDEX IF NOT EXISTS WPKD_TASKS_ENDED ON TASKS (AGENT_ID)
    WHERE ifnull(STATUS, '') NOT IN ('Pending', 'In progress');
CREATE INDEX IF NOT EXISTS WPKD_TASKS_CREATED ON TASKS (CREATE_TIME);
CREATE INDEX IF NOT EXISTS WPKD_TASKS_LIVE ON TASKS (AGENT_ID)
    WHERE STATUS IN ('Pending', 'In progress');
CREATE INDEX IF NOT EXISTS WPKD_TASKS_SILENT ON TASKS (AGENT_ID) WHERE STATUS = 'Timeout';
CREATE INDEX IF NOT EXISTS WPKD_CHANGES_GONE ON WPKD_CHANGES (REVISION) WHERE STATUS IS NULL;
CREATE INDEX IF NOT EXISTS WPKD_TASKS_WORK ON TASKS (STATUS, NODE)
    WHERE STATUS IN ('Pending', 'In progress');
";

/// From layout 1: what is In progress with an order was taken by somebody.
const FROM_LAYOUT_1: &str = "
ALTER TABLE WPKD_ORDERS ADD COLUMN OURS INTEGER NOT NULL DEFAULT 1;
ALTER TABLE WPKD_ORDERS ADD COLUMN CLAIMED INTEGER;
ALTER TABLE WPKD_ORDERS ADD COLUMN CRASHES INTEGER NOT NULL DEFAULT 0;
ALTER TABLE WPKD_ORDERS ADD COLUMN CONFIRMATION TEXT;
ALTER TABLE WPKD_ORDERS ADD COLUMN TARGET TEXT;
UPDATE WPKD_ORDERS SET OURS = 0 WHERE TASK_ORDER IS NULL;
UPDATE WPKD_ORDERS SET CLAIMED = 0 WHERE EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_ORDERS.TASK_ID AND t.STATUS = 'In progress');
";

/// From layout 2: who began an installer was not asked, and no task changed its node.
const FROM_LAYOUT_2: &str = "
ALTER TABLE WPKD_ORDERS ADD COLUMN BEGUN_IN INTEGER;
ALTER TABLE WPKD_CHANGES ADD COLUMN NODE TEXT;
INSERT OR REPLACE INTO WPKD_METADATA (key, value) VALUES ('layout', '3');
";

/// From layout 3: nobody kept anything with a task.
const FROM_LAYOUT_3: &str = "
ALTER TABLE WPKD_FENCES ADD COLUMN STAGED INTEGER NOT NULL DEFAULT 0;
ALTER TABLE WPKD_FENCES ADD COLUMN MARK TEXT NOT NULL DEFAULT '';
INSERT OR REPLACE INTO WPKD_METADATA (key, value) VALUES ('layout', '4');
";

/// What is awaited and what waits to be taken, by columns that layout 1 has not.
const AWAITED: &str = "
CREATE INDEX IF NOT EXISTS WPKD_ORDERS_AWAITED ON WPKD_ORDERS (TASK_ID)
    WHERE CONFIRMATION = '\"awaited\"';
CREATE INDEX IF NOT EXISTS WPKD_ORDERS_WAITING ON WPKD_ORDERS (TASK_ID)
    WHERE TASK_ORDER IS NOT NULL AND CLAIMED IS NULL AND INSTALLER_BEGUN IS NULL;
";

/// Forgets what belongs to tasks that were ended or deleted behind our back.
const HEAL: &str = "
DELETE FROM WPKD_LIVE WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_LIVE.TASK_ID
        AND t.AGENT_ID = WPKD_LIVE.AGENT_ID AND t.STATUS IN ('Pending', 'In progress'));
DELETE FROM WPKD_ORDERS WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_ORDERS.TASK_ID);
UPDATE WPKD_ORDERS SET TASK_ORDER = NULL WHERE TASK_ORDER IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_ORDERS.TASK_ID
        AND t.STATUS IN ('Pending', 'In progress'));
DELETE FROM WPKD_IMPORTED WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_IMPORTED.TASK_ID) AND NOT EXISTS (
    SELECT 1 FROM WPKD_CHANGES c WHERE c.TASK_ID = WPKD_IMPORTED.TASK_ID);
DELETE FROM WPKD_MOVED WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_MOVED.TASK_ID);
DELETE FROM WPKD_FENCES WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_FENCES.TASK_ID);
DELETE FROM WPKD_HELD WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_HELD.TASK_ID);
DELETE FROM WPKD_TIMELINE WHERE NOT EXISTS (
    SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_TIMELINE.TASK_ID);
";

/// Refuses a file that is no task database we understand. Changes nothing.
pub(crate) fn check(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let columns = columns_of(connection, "TASKS")?;
    if !columns.is_empty() {
        if let Some(missing) = missing(&columns) {
            return Err(unknown(format!("it has no column TASKS.{missing}")));
        }
        if let Some(needed) = needed(connection)? {
            return Err(unknown(format!(
                "its table TASKS has a column {needed} that must be filled and has no default"
            )));
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
    version(connection, "METADATA", "db_version", &["1"])?;
    version(connection, "WPKD_METADATA", "layout", &["1", "2", "3", "4"])?;
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
    Ok(!columns_of(connection, "TASKS")?.is_empty())
}

/// Whether a daemon of ours has kept tasks in the file.
pub(crate) fn is_ours(connection: &Connection) -> Result<bool, Fault> {
    Ok(has_tasks(connection)? && !columns_of(connection, "WPKD_ORDERS")?.is_empty())
}

/// Makes what is absent and heals what is stale, in one transaction.
pub(crate) fn create(connection: &Connection) -> Result<(), Fault> {
    // An index of many tasks is sorted, and a service may have no folder for temporary files.
    // Only here: what a long statement keeps until it ends is slow to find in memory.
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    let columns = columns_of(&transaction, "WPKD_ORDERS")?;
    if !columns.iter().any(|column| column == "CLAIMED") {
        transaction.execute_batch(FROM_LAYOUT_1)?;
    }
    if !columns.iter().any(|column| column == "BEGUN_IN") {
        transaction.execute_batch(FROM_LAYOUT_2)?;
    }
    let columns = columns_of(&transaction, "WPKD_FENCES")?;
    if !columns.iter().any(|column| column == "STAGED") {
        transaction.execute_batch(FROM_LAYOUT_3)?;
    }
    transaction.execute_batch(AWAITED)?;
    transaction.execute_batch(HEAL)?;
    newest::heal(&transaction)?;
    feed::heal(&transaction)?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA temp_store = DEFAULT")?;
    Ok(())
}

/// A column of `TASKS` that is not ours and that a new row cannot leave out.
fn needed(connection: &Connection) -> Result<Option<String>, Fault> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_info('TASKS') \
         WHERE \"notnull\" <> 0 AND dflt_value IS NULL AND pk = 0",
    )?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    // These are left empty, or filled, by every new row.
    const FILLED: [&str; 6] = [
        "AGENT_ID",
        "NODE",
        "MODULE",
        "COMMAND",
        "CREATE_TIME",
        "STATUS",
    ];
    let unfilled = |name: &String| !FILLED.iter().any(|one| one.eq_ignore_ascii_case(name));
    Ok(names.into_iter().find(unfilled))
}

/// Checks that a table of keys and values, if there is one, says a version that
/// is known, or nothing.
fn version(connection: &Connection, table: &str, key: &str, known: &[&str]) -> Result<(), Fault> {
    if columns_of(connection, table)?.is_empty() {
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
        Some(other) if !known.contains(&other.as_str()) => Err(unknown(format!(
            "{table}.{key} is {:?} where {} is expected",
            other.chars().take(32).collect::<String>(),
            known.join(" or ")
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
