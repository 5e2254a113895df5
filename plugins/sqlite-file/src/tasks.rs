//! The task table of a 4.x manager (PROTOCOL.md, section 3), which our own store has
//! as well: its columns, and how a row becomes a [`Task`]. The rows may be another
//! program's: whatever a column holds, reading it does not fail.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use wpk_api::{AgentId, Command, Status, Task, TaskId};

/// The columns that `TASKS` must have, in the order of [`task_of`].
pub const COLUMNS: [&str; 9] = [
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

/// The names of a table's columns; none if there is no such table.
///
/// # Errors
/// SQLite's.
pub fn columns_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    names.collect()
}

/// A column that is missing among those of a table.
pub fn missing(columns: &[String]) -> Option<&'static str> {
    let has = |wanted: &&str| columns.iter().any(|have| have.eq_ignore_ascii_case(wanted));
    COLUMNS.into_iter().find(|wanted| !has(wanted))
}

/// A task from a row that starts with [`COLUMNS`].
///
/// # Errors
/// The id of the agent is none: whoever asks leaves such rows out.
pub fn task_of(row: &Row<'_>) -> rusqlite::Result<Task> {
    let agent = integer(row.get_ref(1)?).unwrap_or_default();
    Ok(Task {
        id: TaskId(row.get(0)?),
        agent: AgentId::new(agent)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, agent))?,
        node: text(row.get_ref(2)?).unwrap_or_default(),
        module: text(row.get_ref(3)?).unwrap_or_default(),
        command: Command::from_word(&text(row.get_ref(4)?).unwrap_or_default()),
        created: integer(row.get_ref(5)?).unwrap_or_default(),
        // Never updated is NULL; where another program wrote 0 it means the same.
        updated: integer(row.get_ref(6)?).filter(|time| *time != 0),
        status: Status::from_word(&text(row.get_ref(7)?).unwrap_or_default()),
        error_msg: text(row.get_ref(8)?),
        confirmation: None,
    })
}

/// A number, whichever way it is stored.
pub fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number),
        ValueRef::Real(number) => Some(number as i64),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            std::str::from_utf8(bytes).ok()?.trim().parse().ok()
        }
    }
}

/// A text, whichever way it is stored.
pub fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}
