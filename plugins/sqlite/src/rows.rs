//! How tasks go: withdrawn, purged. Each function is the body of one call of
//! [`wpk_api::TaskStore`], as in [`crate::moves`]; how they come is in [`crate::create`].

use rusqlite::{Connection, params};
use wpk_api::{TaskId, UnixTime};

use crate::fault::Fault;
use crate::statement::{ids, prepared};
use crate::{feed, newest, read};

/// Rows deleted by one round of [`purge`].
const PURGE_ROUND: i64 = 1_000;

/// A task that waits, and of which nobody holds an order.
const GIVES_WAY: &str = "SELECT TASK_ID FROM TASKS t WHERE TASK_ID = ?1 AND STATUS = 'Pending' \
    AND NOT EXISTS (SELECT 1 FROM WPKD_ORDERS o WHERE o.TASK_ID = t.TASK_ID AND o.OURS <> 0) \
    AND NOT EXISTS (SELECT 1 FROM WPKD_HELD h WHERE h.TASK_ID = t.TASK_ID)";

/// What is old, by two indexes of what keeps it: of an agent's history nothing else is
/// looked at.
pub(crate) const OLD: &str = "SELECT t.TASK_ID FROM TASKS t WHERE t.TASK_ID > ?1 AND ifnull(t.CREATE_TIME, 0) <= ?2 \
     AND ifnull(t.STATUS, '') NOT IN ('Pending', 'In progress') AND NOT EXISTS (\
         SELECT 1 FROM TASKS o WHERE o.STATUS IN ('Pending', 'In progress') \
         AND o.STATUS = 'In progress' AND o.AGENT_ID = t.AGENT_ID AND o.TASK_ID < t.TASK_ID) \
     AND NOT EXISTS (\
         SELECT 1 FROM TASKS o WHERE o.STATUS = 'Timeout' AND o.AGENT_ID = t.AGENT_ID \
         AND o.TASK_ID < t.TASK_ID AND (ifnull(o.CREATE_TIME, 0) > ?2 OR EXISTS (\
             SELECT 1 FROM WPKD_FENCES f JOIN WPKD_DOCUMENTS d ON d.KEY = f.KEY \
             WHERE f.TASK_ID = o.TASK_ID AND d.KEEPS_TASKS <> 0))) \
     AND NOT EXISTS (\
         SELECT 1 FROM WPKD_FENCES f JOIN WPKD_DOCUMENTS d ON d.KEY = f.KEY \
         WHERE f.TASK_ID = t.TASK_ID AND d.KEEPS_TASKS <> 0) \
     ORDER BY t.TASK_ID LIMIT ?3";

/// The agent may have another live task.
pub(crate) fn make_way(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    prepared(connection, "DELETE FROM WPKD_LIVE WHERE TASK_ID = ?1")?.execute([id.0])?;
    Ok(())
}

/// Deletes a task and all that belongs to it.
fn delete(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    feed::deleted(connection, id)?;
    for sql in [
        "DELETE FROM TASKS WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_ORDERS WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_HELD WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_FENCES WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_TIMELINE WHERE TASK_ID = ?1",
    ] {
        prepared(connection, sql)?.execute([id.0])?;
    }
    make_way(connection, id)
}

pub(crate) fn withdraw(connection: &Connection, tasks: &[TaskId]) -> Result<u64, Fault> {
    let mut waiting = prepared(connection, GIVES_WAY)?;
    let mut deleted = 0;
    for id in tasks {
        for id in ids(&mut waiting, [id.0])? {
            let was = read::by_id(connection, id)?;
            delete(connection, id)?;
            if let Some(was) = was {
                newest::look_up(connection, was.agent)?;
            }
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// In rounds, so that memory does not grow with the number of old tasks.
pub(crate) fn purge(connection: &Connection, created_until: UnixTime) -> Result<u64, Fault> {
    let mut old = prepared(connection, OLD)?;
    let (mut deleted, mut after) = (0, i64::MIN);
    loop {
        let round = ids(&mut old, params![after, created_until, PURGE_ROUND])?;
        let Some(last) = round.last() else {
            if deleted > 0 {
                newest::many_are_gone(connection)?;
            }
            feed::forget_deleted(connection)?;
            return Ok(deleted);
        };
        after = last.0;
        for id in &round {
            delete(connection, *id)?;
        }
        deleted += round.len() as u64;
    }
}
