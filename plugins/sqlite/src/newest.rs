//! `WPKD_NEWEST`: which upgrade task of each agent is its newest, so that finding it does
//! not get slower with history. A trigger sees each new task, also one that somebody else
//! writes into the file; whoever deletes tasks says so here, in the same transaction. Where
//! somebody else deleted one, history is looked through (`read.rs`).

use rusqlite::Connection;
use wpk_api::{AgentId, TaskId};

use crate::fault::Fault;
use crate::read::{newest_of, of_upgrades, tasks};
use crate::statement::prepared;

/// By the order of their ids, so that the last one of an agent stays. An index would lead
/// through all tasks.
pub(crate) const MADE: &str = concat!(
    "INSERT OR REPLACE INTO WPKD_NEWEST (AGENT_ID, TASK_ID) \
     SELECT t.AGENT_ID, t.TASK_ID FROM TASKS t NOT INDEXED WHERE t.TASK_ID >= ?1 \
     AND t.AGENT_ID BETWEEN 0 AND 2147483647 AND ",
    of_upgrades!(),
    " ORDER BY t.TASK_ID"
);

pub(crate) const LOOKED_UP: &str = concat!(
    "INSERT OR REPLACE INTO WPKD_NEWEST (AGENT_ID, TASK_ID) \
     SELECT t.AGENT_ID, t.TASK_ID FROM TASKS t WHERE ",
    newest_of!(of_upgrades!())
);

/// What does not stand for a task of its agent any more.
const STALE: &str = concat!(
    "DELETE FROM WPKD_NEWEST WHERE NOT EXISTS (\
         SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_NEWEST.TASK_ID \
         AND t.AGENT_ID = WPKD_NEWEST.AGENT_ID AND ",
    of_upgrades!(),
    ") RETURNING AGENT_ID"
);

/// What was made from this id on is above all that is known here.
fn made(connection: &Connection, first: TaskId) -> Result<(), Fault> {
    prepared(connection, MADE)?.execute([first.0])?;
    Ok(())
}

/// A task of an agent was deleted, or stands under another id.
pub(crate) fn look_up(connection: &Connection, agent: AgentId) -> Result<(), Fault> {
    if prepared(connection, LOOKED_UP)?.execute([agent.get()])? == 0 {
        let sql = "DELETE FROM WPKD_NEWEST WHERE AGENT_ID = ?1";
        prepared(connection, sql)?.execute([agent.get()])?;
    }
    Ok(())
}

/// Many tasks were deleted.
pub(crate) fn many_are_gone(connection: &Connection) -> Result<(), Fault> {
    let mut stale = prepared(connection, STALE)?;
    let agents: Vec<i64> = stale
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut look_up = prepared(connection, LOOKED_UP)?;
    for agent in agents {
        look_up.execute([agent])?;
    }
    Ok(())
}

/// Makes it true again after others worked on the file. Ids are given once and ascend, so
/// that what they made is above all that is known here: in a file without this table, all.
pub(crate) fn heal(connection: &Connection) -> Result<(), Fault> {
    many_are_gone(connection)?;
    let sql = "SELECT ifnull(max(TASK_ID), 0) + 1 FROM WPKD_NEWEST";
    let first = prepared(connection, sql)?.query_row([], |row| row.get(0))?;
    made(connection, TaskId(first))
}
