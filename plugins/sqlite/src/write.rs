//! The statements that write. Each function is the body of one call of
//! [`wpk_api::TaskStore`]; the writer's thread ([`crate::worker`]) puts the
//! transaction around it, so none of them begins or ends one.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use wpk_api::{
    AgentId, Claimed, Created, NewTask, Selector, Status, Task, TaskId, Transition,
    TransitionResult, UnixTime,
};

use crate::fault::Fault;
use crate::read::{self, columns, live, of_upgrades};

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

pub(crate) const CLAIMABLE: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.TASK_ORDER FROM TASKS t JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE ",
    live!(),
    " AND t.STATUS = 'Pending' AND t.NODE = ?1 AND o.TASK_ORDER IS NOT NULL \
     ORDER BY t.TASK_ID LIMIT ?2"
);

pub(crate) const EXPIRED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM TASKS t WHERE ",
    live!(),
    " AND t.STATUS = 'In progress' \
     AND ifnull(nullif(t.LAST_UPDATE_TIME, 0), ifnull(t.CREATE_TIME, 0)) <= ?1 \
     ORDER BY t.TASK_ID"
);

pub(crate) const PENDING_OF: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.STATUS = 'Pending' AND t.NODE = ?1";

pub(crate) const WAITING_ELSEWHERE: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.STATUS = 'Pending' \
    AND t.AGENT_ID = ?1 AND t.NODE IS NOT ?2";

pub(crate) fn create(connection: &Connection, tasks: &[NewTask]) -> Result<Vec<Created>, Fault> {
    tasks
        .iter()
        .map(|task| create_one(connection, task))
        .collect()
}

fn create_one(connection: &Connection, task: &NewTask) -> Result<Created, Fault> {
    if task.exclusive && live_task(connection, task.agent)?.is_some() {
        withdraw(connection, &waiting_elsewhere(connection, task)?)?;
        if let Some(live) = live_task(connection, task.agent)? {
            return Ok(Created::AlreadyLive(live));
        }
    }
    prepared(
        connection,
        // No LAST_UPDATE_TIME and no ERROR_MESSAGE: NULL until there is one.
        "INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, STATUS) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'Pending')",
    )?
    .execute(params![
        task.agent.get(),
        task.node,
        task.module,
        task.command.as_str(),
        task.created,
    ])?;
    let id = TaskId(connection.last_insert_rowid());
    if let Some(order) = &task.order {
        let json = serde_json::to_string(order).map_err(|error| {
            Fault::Nonsense(format!(
                "the order for agent {} cannot be stored: {error}",
                task.agent
            ))
        })?;
        prepared(
            connection,
            "INSERT OR REPLACE INTO WPKD_ORDERS (TASK_ID, TASK_ORDER) VALUES (?1, ?2)",
        )?
        .execute(params![id.0, json])?;
    }
    if task.exclusive
        && prepared(connection, OCCUPY)?.execute(params![task.agent.get(), id.0])? != 1
    {
        return Err(Fault::Nonsense(format!(
            "agent {} has a live task in WPKD_LIVE that TASKS does not know as its",
            task.agent
        )));
    }
    Ok(Created::Task(id))
}

/// Pending tasks of the agent that belong to another node, which a new one
/// takes the place of.
fn waiting_elsewhere(connection: &Connection, task: &NewTask) -> Result<Vec<TaskId>, Fault> {
    let mut waiting = prepared(connection, WAITING_ELSEWHERE)?;
    let ids = ids(&mut waiting, params![task.agent.get(), task.node])?;
    Ok(ids)
}

fn live_task(connection: &Connection, agent: AgentId) -> Result<Option<TaskId>, Fault> {
    let found = prepared(connection, LIVE_OF)?
        .query_row([agent.get()], |row| row.get(0).map(TaskId))
        .optional()?;
    Ok(found)
}

pub(crate) fn transition(
    connection: &Connection,
    moves: &[Transition],
) -> Result<Vec<TransitionResult>, Fault> {
    moves.iter().map(|one| move_one(connection, one)).collect()
}

fn move_one(connection: &Connection, one: &Transition) -> Result<TransitionResult, Fault> {
    let found = match one.select {
        Selector::Task(id) => read::by_id(connection, id)?,
        // The newest task decides, also where an older one is still live.
        Selector::LatestOf(agent) => read::latest(connection, agent)?,
    };
    let Some(mut task) = found else {
        return Ok(TransitionResult::Refused(None));
    };
    if !task.status.may_become(&one.to) || (one.to.needs_same_node() && task.node != one.node) {
        return Ok(TransitionResult::Refused(Some(task)));
    }
    task.status = one.to.clone();
    task.updated = Some(one.at);
    if one.error_msg.is_some() {
        task.error_msg.clone_from(&one.error_msg);
    }
    set(connection, &task)?;
    Ok(TransitionResult::Moved(task))
}

/// Writes what of a task can change; what has ended leaves our own tables.
fn set(connection: &Connection, task: &Task) -> Result<(), Fault> {
    prepared(
        connection,
        "UPDATE TASKS SET STATUS = ?2, LAST_UPDATE_TIME = ?3, ERROR_MESSAGE = ?4 \
         WHERE TASK_ID = ?1",
    )?
    .execute(params![
        task.id.0,
        task.status.as_str(),
        task.updated,
        task.error_msg,
    ])?;
    if !task.status.is_live() {
        forget(connection, task.id)?;
    }
    Ok(())
}

fn forget(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    prepared(connection, "DELETE FROM WPKD_ORDERS WHERE TASK_ID = ?1")?.execute([id.0])?;
    prepared(connection, "DELETE FROM WPKD_LIVE WHERE TASK_ID = ?1")?.execute([id.0])?;
    Ok(())
}

pub(crate) fn claim(
    connection: &Connection,
    node: &str,
    limit: usize,
    now: UnixTime,
) -> Result<Vec<Claimed>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut claimed: Vec<Claimed> = prepared(connection, CLAIMABLE)?
        .query_map(params![node, limit], read::claimed)?
        .collect::<Result<_, _>>()?;
    for Claimed { task, .. } in &mut claimed {
        task.status = Status::InProgress;
        task.updated = Some(now);
        set(connection, task)?;
    }
    Ok(claimed)
}

pub(crate) fn begin_installer(
    connection: &Connection,
    id: TaskId,
    now: UnixTime,
) -> Result<bool, Fault> {
    let begun = prepared(
        connection,
        "INSERT INTO WPKD_ORDERS (TASK_ID, INSTALLER_BEGUN) \
         SELECT TASK_ID, ?2 FROM TASKS WHERE TASK_ID = ?1 AND STATUS = 'In progress' \
         ON CONFLICT (TASK_ID) DO UPDATE SET INSTALLER_BEGUN = excluded.INSTALLER_BEGUN \
         WHERE INSTALLER_BEGUN IS NULL",
    )?
    .execute(params![id.0, now])?;
    Ok(begun == 1)
}

pub(crate) fn touch(connection: &Connection, tasks: &[TaskId], now: UnixTime) -> Result<(), Fault> {
    let mut statement = prepared(
        connection,
        "UPDATE TASKS SET LAST_UPDATE_TIME = ?2 WHERE TASK_ID = ?1 AND STATUS = 'In progress'",
    )?;
    for id in tasks {
        statement.execute(params![id.0, now])?;
    }
    Ok(())
}

pub(crate) fn cancel(connection: &Connection, node: &str, now: UnixTime) -> Result<u64, Fault> {
    let mut pending = prepared(connection, PENDING_OF)?;
    let ids = ids(&mut pending, params![node])?;
    let mut statement = prepared(
        connection,
        "UPDATE TASKS SET STATUS = 'Cancelled', LAST_UPDATE_TIME = ?2 WHERE TASK_ID = ?1",
    )?;
    for id in &ids {
        statement.execute(params![id.0, now])?;
        forget(connection, *id)?;
    }
    Ok(ids.len() as u64)
}

pub(crate) fn withdraw(connection: &Connection, tasks: &[TaskId]) -> Result<u64, Fault> {
    let mut statement = prepared(
        connection,
        "DELETE FROM TASKS WHERE TASK_ID = ?1 AND STATUS = 'Pending'",
    )?;
    let mut deleted = 0;
    for id in tasks {
        if statement.execute([id.0])? > 0 {
            forget(connection, *id)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

pub(crate) fn expire(
    connection: &Connection,
    not_since: UnixTime,
    now: UnixTime,
) -> Result<Vec<Task>, Fault> {
    let mut tasks: Vec<Task> = prepared(connection, EXPIRED)?
        .query_map([not_since], read::task)?
        .collect::<Result<_, _>>()?;
    for task in &mut tasks {
        task.status = Status::Timeout;
        task.updated = Some(now);
        set(connection, task)?;
    }
    Ok(tasks)
}

/// In rounds, so that memory does not grow with the number of old tasks.
pub(crate) fn purge(connection: &Connection, created_until: UnixTime) -> Result<u64, Fault> {
    let mut delete = prepared(connection, "DELETE FROM TASKS WHERE TASK_ID = ?1")?;
    let mut old = prepared(
        connection,
        "SELECT TASK_ID FROM TASKS WHERE TASK_ID > ?1 AND ifnull(CREATE_TIME, 0) <= ?2 \
         ORDER BY TASK_ID LIMIT ?3",
    )?;
    let (mut deleted, mut after) = (0, i64::MIN);
    loop {
        let round = ids(&mut old, params![after, created_until, PURGE_ROUND])?;
        let Some(last) = round.last() else {
            return Ok(deleted);
        };
        after = last.0;
        for id in &round {
            delete.execute([id.0])?;
            forget(connection, *id)?;
        }
        deleted += round.len() as u64;
    }
}

fn ids(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
) -> Result<Vec<TaskId>, Fault> {
    let rows = statement.query_map(parameters, |row| row.get(0).map(TaskId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn prepared<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, Fault> {
    Ok(connection.prepare_cached(sql)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full scan of the table would make each of these slower with history.
    #[test]
    fn the_frequent_statements_use_the_indexes() {
        let connection = Connection::open_in_memory().unwrap();
        crate::schema::create(&connection).unwrap();
        connection
            .set_db_config(
                rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
                true,
            )
            .unwrap();
        for (sql, index) in [
            (read::LATEST, "WPKD_TASKS_AGENT"),
            (read::INTERRUPTED, "WPKD_TASKS_WORK"),
            (LIVE_OF, "WPKD_TASKS_LIVE"),
            (CLAIMABLE, "WPKD_TASKS_WORK"),
            (EXPIRED, "WPKD_TASKS_WORK"),
            (PENDING_OF, "WPKD_TASKS_WORK"),
        ] {
            let mut statement = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let values = vec![1; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(
                plan.iter().any(|step| step.contains(index)),
                "{sql}: {plan:?}"
            );
            assert!(
                !plan.iter().any(|step| step.starts_with("SCAN")),
                "{sql}: {plan:?}"
            );
        }
    }
}
