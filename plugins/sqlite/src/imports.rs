//! Tasks that somebody else made, taken over as they are: the body of
//! [`wpk_api::TaskStore::import`]. `WPKD_IMPORTED` remembers which they are, and under
//! which id each is shown where it comes from; `WPKD_MOVED` under which id a task of ours
//! was found there, because something else had its own.

use rusqlite::{Connection, OptionalExtension, params};
use wpk_api::{Imported, Mover, Standing, Task, TaskId};

use crate::fault::Fault;
use crate::read::{self, columns, ids_of, tasks};
use crate::statement::prepared;
use crate::{feed, moves, newest};

/// Tasks that are the same as one that is shown, whatever their ids.
macro_rules! same {
    () => {
        concat!(
            "t.TASK_ID IN ",
            ids_of!("TASKS WHERE AGENT_ID = ?2"),
            " AND +t.CREATE_TIME = ?3 AND t.NODE = ?4 AND t.MODULE = ?5 AND t.COMMAND = ?6"
        )
    };
}

/// One that was imported from where ?1 is shown.
pub(crate) const IMPORTED: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    same!(),
    " AND EXISTS (SELECT 1 FROM WPKD_IMPORTED i WHERE i.TASK_ID = t.TASK_ID AND i.SHOWN_ID = ?1)"
);

/// One of this store: it is shown under its id, unless that was taken there, by a task of
/// somebody else or by one of ours whose own id was taken in turn.
pub(crate) const OWN: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    same!(),
    " AND NOT EXISTS (SELECT 1 FROM WPKD_IMPORTED i WHERE i.TASK_ID = t.TASK_ID) \
     AND (t.TASK_ID = ?1 OR EXISTS (\
         SELECT 1 FROM WPKD_IMPORTED i WHERE i.SHOWN_ID = t.TASK_ID AND i.TASK_ID <> t.TASK_ID) \
     OR EXISTS (SELECT 1 FROM WPKD_MOVED m WHERE m.SHOWN_ID = t.TASK_ID) \
     OR EXISTS (SELECT 1 FROM WPKD_MOVED m WHERE m.TASK_ID = t.TASK_ID AND m.SHOWN_ID = ?1)) \
     ORDER BY t.TASK_ID = ?1 DESC LIMIT 1"
);

pub(crate) fn import(connection: &Connection, shown: &[Task]) -> Result<Vec<Imported>, Fault> {
    let imported: Vec<_> = (shown.iter())
        .map(|task| one(connection, task))
        .collect::<Result<_, _>>()?;
    if let Some(highest) = shown.iter().map(|task| task.id.0).max() {
        go_on_above(connection, highest)?;
    }
    Ok(imported)
}

fn one(connection: &Connection, shown: &Task) -> Result<Imported, Fault> {
    if let Some(here) = find(connection, IMPORTED, shown)? {
        return follow(connection, here, shown);
    }
    if let Some(here) = find(connection, OWN, shown)? {
        if here.id != shown.id {
            prepared(
                connection,
                "INSERT INTO WPKD_MOVED (TASK_ID, SHOWN_ID) VALUES (?1, ?2) \
                 ON CONFLICT (TASK_ID) DO UPDATE SET SHOWN_ID = ?2 WHERE SHOWN_ID <> ?2",
            )?
            .execute([here.id.0, shown.id.0])?;
        }
        return Ok(Imported::Own(here.id));
    }
    if feed::was_deleted(connection, shown)? {
        return Ok(Imported::Deleted);
    }
    let taken =
        prepared(connection, "SELECT 1 FROM TASKS WHERE TASK_ID = ?1")?.exists([shown.id.0])?;
    prepared(
        connection,
        "INSERT INTO TASKS (TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, \
         LAST_UPDATE_TIME, STATUS, ERROR_MESSAGE) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        (!taken).then_some(shown.id.0),
        shown.agent.get(),
        shown.node,
        shown.module,
        shown.command.as_str(),
        shown.created,
        shown.updated,
        shown.status.as_str(),
        shown.error_msg,
    ])?;
    let id = TaskId(connection.last_insert_rowid());
    prepared(
        connection,
        "INSERT OR REPLACE INTO WPKD_IMPORTED (TASK_ID, SHOWN_ID) VALUES (?1, ?2)",
    )?
    .execute([id.0, shown.id.0])?;
    newest::look_up(connection, shown.agent)?;
    feed::changed(connection, id)?;
    Ok(Imported::New(id))
}

fn find(connection: &Connection, sql: &str, shown: &Task) -> Result<Option<Task>, Fault> {
    let found = prepared(connection, sql)?
        .query_row(
            params![
                shown.id.0,
                shown.agent.get(),
                shown.created,
                shown.node,
                shown.module,
                shown.command.as_str(),
            ],
            read::task,
        )
        .optional()?;
    Ok(found)
}

/// Brings a task that was imported before to what is shown of it.
fn follow(connection: &Connection, here: Task, shown: &Task) -> Result<Imported, Fault> {
    let may = (here.status).may_become(&shown.status, Standing::default(), Mover::Report);
    if !may {
        return Ok(Imported::Unchanged(here.id));
    }
    let task = Task {
        updated: shown.updated,
        status: shown.status.clone(),
        error_msg: shown.error_msg.clone(),
        ..here
    };
    moves::set(connection, &task)?;
    Ok(Imported::Followed(task.id))
}

/// Ids of later tasks are above this one.
fn go_on_above(connection: &Connection, id: i64) -> Result<(), Fault> {
    let raised = prepared(
        connection,
        "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'TASKS'",
    )?
    .execute([id])?;
    if raised == 0 {
        prepared(
            connection,
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('TASKS', ?1)",
        )?
        .execute([id])?;
    }
    Ok(())
}
