//! How tasks come: under the constraint of one live upgrade task per agent. Each function
//! is the body of one call of [`wpk_api::TaskStore`]; `many` makes those that are alike
//! together.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use wpk_api::{AgentId, Created, Guard, NewTask, TaskId};

use crate::fault::Fault;
use crate::many::{self, ROWS, unless_live};
use crate::read::{live, of_upgrades};
use crate::rows::withdraw;
use crate::statement::{ids, prepared};
use crate::{documents, feed};

pub(crate) const LIVE_OF: &str = concat!(
    "SELECT t.TASK_ID FROM TASKS t WHERE ",
    live!(),
    " AND ",
    of_upgrades!(),
    " AND t.AGENT_ID = ?1 ORDER BY t.TASK_ID DESC LIMIT 1"
);

/// The primary key of `WPKD_LIVE` is the constraint.
const OCCUPY: &str = concat!(
    "INSERT INTO WPKD_LIVE (AGENT_ID, TASK_ID) VALUES (?1, ?2) ",
    unless_live!()
);

pub(crate) const WAITING_ELSEWHERE: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.STATUS = 'Pending' \
    AND t.AGENT_ID = ?1 AND t.NODE IS NOT ?2";

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

/// What a new task by itself needs, made ready once for a call.
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

/// As [`create_guarded`], whatever stands in documents. What is alike goes in [`ROWS`] at a
/// time, as long as no agent of them has a live task: a statement costs more than a row.
pub(crate) fn create(connection: &Connection, tasks: &[NewTask]) -> Result<Vec<Created>, Fault> {
    let mut making = Making::new(connection)?;
    let mut created = Vec::with_capacity(tasks.len());
    let mut rest = tasks;
    while !rest.is_empty() {
        let (some, others) = rest.split_at(rest.len().min(ROWS));
        if many::are_alike(some) && many::nobody_lives(connection, some)? {
            created.extend(many::create(connection, some)?.map(Created::Task));
        } else {
            for task in some {
                created.push(create_one(connection, &mut making, task)?);
            }
        }
        rest = others;
    }
    Ok(created)
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
