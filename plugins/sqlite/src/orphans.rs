//! What another name left: in a file that is one daemon's nobody else lives, so whatever
//! waits for another node waits for nobody (a node that was renamed).

use rusqlite::{Connection, OptionalExtension, params};
use wpk_api::{Task, TaskId, TimelineEntry};

use crate::entries;
use crate::fault::Fault;
use crate::read::{self, columns, live};
use crate::statement::prepared;
use crate::{feed, timeline};

/// What is live, ours, not begun, and not this node's.
macro_rules! orphans {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM TASKS t JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE ",
            live!(),
            " AND t.NODE IS NOT ?1 AND o.OURS <> 0 AND o.INSTALLER_BEGUN IS NULL"
        )
    };
}

pub(crate) const ORPHANS: &str = concat!(
    orphans!(),
    " AND t.TASK_ID > ?2 ORDER BY t.TASK_ID LIMIT ?3"
);
const ORPHAN: &str = concat!(orphans!(), " AND t.TASK_ID = ?2");

/// See [`wpk_api::TaskStore::orphans`].
pub(crate) fn orphans(
    connection: &Connection,
    node: &str,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Task>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, ORPHANS)?;
    let rows = statement.query_map(params![node, after.0, limit], read::task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`wpk_api::TaskStore::take_over`].
pub(crate) fn take_over(
    connection: &Connection,
    node: &str,
    tasks: &[TaskId],
) -> Result<Vec<TaskId>, Fault> {
    let now = entries::now();
    let mut taken = Vec::new();
    for id in tasks {
        let found = prepared(connection, ORPHAN)?
            .query_row(params![node, id.0], read::task)
            .optional()?;
        let Some(task) = found else { continue };
        feed::keep_node(connection, *id, &task.node)?;
        for sql in [
            "UPDATE TASKS SET NODE = ?2 WHERE TASK_ID = ?1",
            "UPDATE WPKD_ORDERS SET CLAIMED = NULL WHERE TASK_ID = ?1 AND ?2 IS NOT NULL",
        ] {
            prepared(connection, sql)?.execute(params![id.0, node])?;
        }
        feed::changed(connection, *id)?;
        timeline::add(
            connection,
            *id,
            &TimelineEntry::moved(now, &task.node, node),
        )?;
        taken.push(*id);
    }
    Ok(taken)
}
