//! How tasks come and go: created under the constraint of one live upgrade task
//! per agent, withdrawn, purged. Each function is the body of one call of
//! [`wpk_api::TaskStore`], as in [`crate::moves`].

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use wpk_api::{AgentId, Created, Guard, NewTask, TaskId, UnixTime};

use crate::fault::Fault;
use crate::read::{live, of_upgrades};
use crate::statement::{ids, prepared};
use crate::{documents, feed, newest, read};

/// Rows deleted by one round of [`purge`].
const PURGE_ROUND: i64 = 1_000;

pub(crate) const LIVE_OF: &str = concat!(
    "SELECT t.TASK_ID FROM TASKS t WHERE ",
    live!(),
    " AND ",
    of_upgrades!(),
    " AND t.AGENT_ID = ?1 ORDER BY t.TASK_ID DESC LIMIT 1"
);

/// The primary key of `WPKD_LIVE` is the constraint; only a row whose task is
/// no longer live gives way.
const OCCUPY: &str = "INSERT INTO WPKD_LIVE (AGENT_ID, TASK_ID) VALUES (?1, ?2)
    ON CONFLICT (AGENT_ID) DO UPDATE SET TASK_ID = excluded.TASK_ID WHERE NOT EXISTS (
        SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_LIVE.TASK_ID
            AND t.AGENT_ID = WPKD_LIVE.AGENT_ID AND t.STATUS IN ('Pending', 'In progress'))";

pub(crate) const WAITING_ELSEWHERE: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.STATUS = 'Pending' \
    AND t.AGENT_ID = ?1 AND t.NODE IS NOT ?2";

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

/// See [`wpk_api::TaskStore::create_guarded`].
pub(crate) fn create_guarded(
    connection: &Connection,
    tasks: &[NewTask],
    guard: &Guard,
) -> Result<Option<Vec<Created>>, Fault> {
    match documents::holds(connection, guard)? {
        true => create(connection, tasks).map(Some),
        false => Ok(None),
    }
}

/// What every new task needs, made ready once for a call.
struct Making<'c> {
    live: CachedStatement<'c>,
    task: CachedStatement<'c>,
    order: CachedStatement<'c>,
    change: CachedStatement<'c>,
    occupy: CachedStatement<'c>,
}

impl<'c> Making<'c> {
    fn new(connection: &'c Connection) -> Result<Self, Fault> {
        let ready = |sql| prepared(connection, sql);
        Ok(Self {
            live: ready(LIVE_OF)?,
            // No LAST_UPDATE_TIME and no ERROR_MESSAGE: NULL until there is one.
            task: ready(
                "INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
                 VALUES (?1, ?2, ?3, ?4, ?5, 'Pending')",
            )?,
            order: ready(
                "INSERT OR REPLACE INTO WPKD_ORDERS (TASK_ID, TASK_ORDER) VALUES (?1, ?2)",
            )?,
            change: ready(feed::CREATED)?,
            occupy: ready(OCCUPY)?,
        })
    }

    fn live_task(&mut self, agent: AgentId) -> Result<Option<TaskId>, Fault> {
        let found = self.live.query_row([agent.get()], |row| row.get(0));
        Ok(found.optional()?.map(TaskId))
    }
}

pub(crate) fn create(connection: &Connection, tasks: &[NewTask]) -> Result<Vec<Created>, Fault> {
    let mut making = Making::new(connection)?;
    tasks
        .iter()
        .map(|task| create_one(connection, &mut making, task))
        .collect()
}

fn create_one(
    connection: &Connection,
    making: &mut Making<'_>,
    task: &NewTask,
) -> Result<Created, Fault> {
    if let Some(fence) = &task.fence
        && !documents::lets_through(connection, fence)?
    {
        return Ok(Created::Fenced);
    }
    if task.exclusive && making.live_task(task.agent)?.is_some() {
        withdraw(connection, &waiting_elsewhere(connection, task)?)?;
        if let Some(live) = making.live_task(task.agent)? {
            return Ok(Created::AlreadyLive(live));
        }
    }
    making.task.execute(params![
        task.agent.get(),
        task.node,
        task.module,
        task.command.as_str(),
        task.created,
    ])?;
    let id = TaskId(connection.last_insert_rowid());
    if let Some(order) = &task.order {
        making.order.execute(params![id.0, order.to_json()])?;
    }
    if task.held {
        prepared(
            connection,
            "INSERT OR IGNORE INTO WPKD_HELD (TASK_ID) VALUES (?1)",
        )?
        .execute([id.0])?;
    }
    if let Some(fence) = &task.fence {
        documents::made_for(connection, id, fence)?;
    }
    making.change.execute([id.0])?;
    if task.exclusive && making.occupy.execute(params![task.agent.get(), id.0])? != 1 {
        return Err(Fault::Nonsense(format!(
            "agent {} has a live task in WPKD_LIVE that TASKS does not know as its",
            task.agent
        )));
    }
    Ok(Created::Task(id))
}

/// Pending tasks of the agent that belong to another node: a new one takes the place of
/// those that nobody holds an order of.
fn waiting_elsewhere(connection: &Connection, task: &NewTask) -> Result<Vec<TaskId>, Fault> {
    let mut waiting = prepared(connection, WAITING_ELSEWHERE)?;
    let ids = ids(&mut waiting, params![task.agent.get(), task.node])?;
    Ok(ids)
}

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
