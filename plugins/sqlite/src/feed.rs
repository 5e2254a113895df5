//! The feed of changes, and how far its readers have come.
//!
//! A change holds what of a task can change; the rest stands in `TASKS` for as
//! long as the task is there, and is copied into what is still unread of it when
//! it is deleted.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{Change, Changed, Revision, Status, Task, TaskId};

use crate::fault::Fault;
use crate::read;
use crate::statement::prepared;

/// A task was created.
pub(crate) const CREATED: &str =
    "INSERT INTO WPKD_CHANGES (TASK_ID, STATUS) VALUES (?1, 'Pending')";

/// A task is as it is now.
pub(crate) fn changed(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    prepared(
        connection,
        "INSERT INTO WPKD_CHANGES (TASK_ID, STATUS, LAST_UPDATE_TIME, ERROR_MESSAGE, CONFIRMATION) \
         SELECT t.TASK_ID, t.STATUS, t.LAST_UPDATE_TIME, t.ERROR_MESSAGE, o.CONFIRMATION \
         FROM TASKS t LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE t.TASK_ID = ?1",
    )?
    .execute([id.0])?;
    Ok(())
}

/// A task is about to change its node: what was told before was of this one.
pub(crate) fn keep_node(connection: &Connection, id: TaskId, node: &str) -> Result<(), Fault> {
    prepared(
        connection,
        "UPDATE WPKD_CHANGES SET NODE = ?2 WHERE TASK_ID = ?1 AND NODE IS NULL",
    )?
    .execute(params![id.0, node])?;
    Ok(())
}

/// A task is about to be deleted.
pub(crate) fn deleted(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    let passed = passed(connection)?;
    prepared(
        connection,
        "DELETE FROM WPKD_CHANGES WHERE TASK_ID = ?1 AND REVISION <= ?2",
    )?
    .execute(params![id.0, passed])?;
    let was = read::by_id(connection, id)?;
    let was = was.map(|task| serde_json::to_string(&task)).transpose();
    let was = was.map_err(|error| Fault::Nonsense(format!("task {id} cannot be kept: {error}")))?;
    for sql in [
        "UPDATE WPKD_CHANGES SET GONE = ?2 WHERE TASK_ID = ?1",
        "INSERT INTO WPKD_CHANGES (TASK_ID, GONE) VALUES (?1, ?2)",
    ] {
        prepared(connection, sql)?.execute(params![id.0, was])?;
    }
    Ok(())
}

/// Whether this task was deleted, and not every reader has heard of it.
pub(crate) fn was_deleted(connection: &Connection, task: &Task) -> Result<bool, Fault> {
    let mut statement = prepared(
        connection,
        "SELECT GONE FROM WPKD_CHANGES WHERE TASK_ID = ?1 AND STATUS IS NULL AND REVISION > ?2",
    )?;
    let passed = passed(connection)?;
    let gone = statement.query_map([task.id.0, passed], |row| Ok(gone(row.get_ref(0)?)))?;
    for was in gone {
        if was?.is_some_and(|was| was.is_same_as(task)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The task that a deleted row was.
fn gone(value: ValueRef<'_>) -> Option<Task> {
    serde_json::from_str(&read::text(value)?).ok()
}

/// Of what another program deleted nothing in the feed tells: only looking through all of it
/// finds that.
const LOST: &str = "DELETE FROM WPKD_CHANGES WHERE REVISION <= ?1 AND NOT EXISTS (\
        SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_CHANGES.TASK_ID) AND NOT EXISTS (\
        SELECT 1 FROM WPKD_CHANGES g WHERE g.TASK_ID = WPKD_CHANGES.TASK_ID \
        AND g.STATUS IS NULL) \
    AND REVISION < (SELECT max(REVISION) FROM WPKD_CHANGES)";

/// The tasks whose deletion was passed, and with them all that was told of them before.
pub(crate) const GONE: &str = "DELETE FROM WPKD_CHANGES WHERE TASK_ID IN (\
        SELECT g.TASK_ID FROM WPKD_CHANGES g WHERE g.STATUS IS NULL AND g.REVISION <= ?1) \
    AND REVISION <= ?1 AND NOT EXISTS (\
        SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_CHANGES.TASK_ID) \
    AND REVISION < (SELECT max(REVISION) FROM WPKD_CHANGES)";

/// Forgets what other programs deleted while the file was closed.
pub(crate) fn heal(connection: &Connection) -> Result<(), Fault> {
    prepared(connection, LOST)?.execute([passed(connection)?])?;
    Ok(())
}

/// Forgets deletions that every reader has heard of.
pub(crate) fn forget_deleted(connection: &Connection) -> Result<(), Fault> {
    let passed = passed(connection)?;
    prepared(connection, GONE)?.execute([passed])?;
    prepared(
        connection,
        "DELETE FROM WPKD_IMPORTED WHERE NOT EXISTS (\
             SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_IMPORTED.TASK_ID) \
         AND NOT EXISTS (SELECT 1 FROM WPKD_CHANGES c WHERE c.TASK_ID = WPKD_IMPORTED.TASK_ID)",
    )?
    .execute([])?;
    Ok(())
}

/// The revision that every known reader has passed; without readers all.
fn passed(connection: &Connection) -> Result<i64, Fault> {
    let mut statement = prepared(
        connection,
        "SELECT ifnull((SELECT min(PLACE) FROM WPKD_READERS), 9223372036854775807)",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

const AFTER: &str = "SELECT c.REVISION, c.TASK_ID, c.STATUS, c.LAST_UPDATE_TIME, c.ERROR_MESSAGE, \
    c.CONFIRMATION, c.GONE, t.TASK_ID, t.AGENT_ID, t.NODE, t.MODULE, t.COMMAND, t.CREATE_TIME, \
    i.TASK_ID IS NOT NULL, c.NODE FROM WPKD_CHANGES c LEFT JOIN TASKS t ON t.TASK_ID = c.TASK_ID \
    LEFT JOIN WPKD_IMPORTED i ON i.TASK_ID = c.TASK_ID \
    WHERE c.REVISION > ?1 ORDER BY c.REVISION LIMIT ?2";

/// See [`wpk_api::TaskStore::changes`].
pub(crate) fn changes(
    connection: &Connection,
    after: Revision,
    limit: usize,
) -> Result<Vec<Change>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, AFTER)?;
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![after, limit], change)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let revision = Revision(row.get::<_, i64>(0)?.unsigned_abs());
    let id = TaskId(row.get(1)?);
    let kept = gone(row.get_ref(6)?);
    let foreign: bool = row.get(13)?;
    let there: Option<i64> = row.get(7)?;
    let lasting: Option<Task> = match there {
        Some(_) => Some(lasting(row, id)?),
        None => kept.clone(),
    };
    let status = read::text(row.get_ref(2)?);
    let node = read::text(row.get_ref(14)?);
    let changed = match (status, lasting) {
        (Some(status), Some(task)) => {
            let task = Task {
                status: Status::from_word(&status),
                updated: read::integer(row.get_ref(3)?).filter(|time| *time != 0),
                error_msg: read::text(row.get_ref(4)?),
                confirmation: read::confirmation(row.get_ref(5)?),
                node: node.unwrap_or(task.node),
                ..task
            };
            if foreign {
                Changed::Foreign(task)
            } else {
                Changed::Task(task)
            }
        }
        _ => Changed::Deleted(id),
    };
    let deleted = matches!(changed, Changed::Deleted(_));
    Ok(Change {
        revision,
        changed,
        was: kept.filter(|_| deleted && !foreign),
    })
}

/// What of a task never changes, from [`AFTER`].
fn lasting(row: &Row<'_>, id: TaskId) -> rusqlite::Result<Task> {
    let agent = read::integer(row.get_ref(8)?).unwrap_or_default();
    Ok(Task {
        id,
        agent: wpk_api::AgentId::new(agent)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(8, agent))?,
        node: read::text(row.get_ref(9)?).unwrap_or_default(),
        module: read::text(row.get_ref(10)?).unwrap_or_default(),
        command: wpk_api::Command::from_word(&read::text(row.get_ref(11)?).unwrap_or_default()),
        created: read::integer(row.get_ref(12)?).unwrap_or_default(),
        updated: None,
        status: Status::Pending,
        error_msg: None,
        confirmation: None,
    })
}

/// See [`wpk_api::TaskStore::revision`].
pub(crate) fn revision(connection: &Connection) -> Result<Revision, Fault> {
    let mut statement = prepared(
        connection,
        "SELECT max(ifnull((SELECT max(REVISION) FROM WPKD_CHANGES), 0), \
             ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'WPKD_CHANGES'), 0))",
    )?;
    let newest: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(Revision(newest.unsigned_abs()))
}

/// See [`wpk_api::TaskStore::place`].
pub(crate) fn place(connection: &Connection, reader: &str) -> Result<Revision, Fault> {
    let mut statement = prepared(connection, "SELECT PLACE FROM WPKD_READERS WHERE NAME = ?1")?;
    let place: Option<i64> = statement.query_row([reader], |row| row.get(0)).optional()?;
    Ok(Revision(place.unwrap_or_default().unsigned_abs()))
}

/// See [`wpk_api::TaskStore::keep_readers`].
pub(crate) fn keep_readers(connection: &Connection, names: &[String]) -> Result<(), Fault> {
    let names = serde_json::to_string(names).map_err(|error| Fault::Nonsense(error.to_string()))?;
    prepared(
        connection,
        "DELETE FROM WPKD_READERS WHERE NAME NOT IN (SELECT value FROM json_each(?1))",
    )?
    .execute([names])?;
    Ok(())
}

/// See [`wpk_api::TaskStore::set_place`].
pub(crate) fn set_place(
    connection: &Connection,
    reader: &str,
    place: Revision,
) -> Result<(), Fault> {
    if !(1..=64).contains(&reader.len()) {
        return Err(Fault::Nonsense(format!(
            "a reader's name has 1 to 64 bytes, this one {}",
            reader.len()
        )));
    }
    let place = i64::try_from(place.0).unwrap_or(i64::MAX);
    prepared(
        connection,
        "INSERT INTO WPKD_READERS (NAME, PLACE) VALUES (?1, ?2) \
         ON CONFLICT (NAME) DO UPDATE SET PLACE = max(PLACE, excluded.PLACE)",
    )?
    .execute(params![reader, place])?;
    Ok(())
}
