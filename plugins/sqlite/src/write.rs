//! The statements that write. Each function is the body of one call of
//! [`wpk_api::TaskStore`]; the writer's thread ([`crate::worker`]) puts the
//! transaction around it, so none of them begins or ends one.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use wpk_api::{
    AgentId, Cancel, Claimed, Confirmation, Created, Mover, NewTask, Overdue, Selector, Status,
    Task, TaskId, TimelineEntry, TimelineStep, Transition, TransitionResult, UnixTime,
};

use crate::fault::Fault;
use crate::read::{self, columns, live, of_upgrades};
use crate::{feed, timeline};

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
    ", o.TASK_ORDER, o.CRASHES FROM TASKS t JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE ",
    live!(),
    " AND t.NODE = ?1 AND o.TASK_ORDER IS NOT NULL AND o.CLAIMED IS NULL \
     AND o.INSTALLER_BEGUN IS NULL ORDER BY t.TASK_ID LIMIT ?2"
);

/// Tasks of a node that may be cancelled; which of them is decided one by one.
pub(crate) const LIVE_ON: &str = "SELECT t.TASK_ID FROM TASKS t \
    WHERE t.STATUS IN ('Pending', 'In progress') AND t.NODE = ?1 ORDER BY t.TASK_ID";

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
    feed::created(connection, id)?;
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
        Selector::LatestOf(agent) => read::of_agent(connection, read::LATEST, agent)?,
        Selector::SpokenOf(agent) => read::of_agent(connection, read::SPOKEN_OF, agent)?,
    };
    let Some(mut task) = found else {
        return Ok(TransitionResult::Refused(None));
    };
    let standing = read::standing(connection, task.id)?;
    if !task.status.may_become(&one.to, standing, one.by)
        || (one.to.needs_same_node() && task.node != one.node)
    {
        return Ok(TransitionResult::Refused(Some(task)));
    }
    let late = task.status == Status::Timeout;
    task.status = one.to.clone();
    task.updated = Some(one.at);
    if one.error_msg.is_some() {
        task.error_msg.clone_from(&one.error_msg);
    } else if one.to == Status::Done {
        // What a time-out or an attempt before it left is no longer so.
        task.error_msg = None;
    }
    if one.confirmation.is_some() {
        task.confirmation.clone_from(&one.confirmation);
    }
    set(connection, &task)?;
    if let Some(entry) = &one.entry {
        timeline::add(connection, task.id, &entry.clone().of_late(late))?;
    }
    Ok(TransitionResult::Moved(task))
}

/// Writes what of a task can change; what has ended is no longer to be carried out.
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
    if let Some(confirmation) = &task.confirmation {
        let json = serde_json::to_string(confirmation)
            .map_err(|error| Fault::Nonsense(error.to_string()))?;
        prepared(
            connection,
            "INSERT INTO WPKD_ORDERS (TASK_ID, OURS, CONFIRMATION) VALUES (?1, 0, ?2) \
             ON CONFLICT (TASK_ID) DO UPDATE SET CONFIRMATION = excluded.CONFIRMATION",
        )?
        .execute(params![task.id.0, json])?;
    }
    feed::changed(connection, task.id)?;
    if !task.status.is_live() {
        prepared(
            connection,
            "UPDATE WPKD_ORDERS SET TASK_ORDER = NULL WHERE TASK_ID = ?1",
        )?
        .execute([task.id.0])?;
        make_way(connection, task.id)?;
    }
    Ok(())
}

/// The agent may have another live task.
fn make_way(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    prepared(connection, "DELETE FROM WPKD_LIVE WHERE TASK_ID = ?1")?.execute([id.0])?;
    Ok(())
}

/// Deletes a task and all that belongs to it.
fn delete(connection: &Connection, id: TaskId) -> Result<(), Fault> {
    feed::deleted(connection, id)?;
    for sql in [
        "DELETE FROM TASKS WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_ORDERS WHERE TASK_ID = ?1",
        "DELETE FROM WPKD_TIMELINE WHERE TASK_ID = ?1",
    ] {
        prepared(connection, sql)?.execute([id.0])?;
    }
    make_way(connection, id)
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
        prepared(
            connection,
            "UPDATE WPKD_ORDERS SET CLAIMED = ?2 WHERE TASK_ID = ?1",
        )?
        .execute(params![task.id.0, now])?;
    }
    Ok(claimed)
}

/// See [`wpk_api::TaskStore::interrupted`].
pub(crate) fn interrupted(
    connection: &Connection,
    node: &str,
    crashed: bool,
) -> Result<Vec<Claimed>, Fault> {
    let mut found: Vec<Claimed> = prepared(connection, read::INTERRUPTED)?
        .query_map(params![node], read::claimed)?
        .collect::<Result<_, _>>()?;
    if crashed {
        for one in &mut found {
            one.crashes = one.crashes.saturating_add(1);
            prepared(
                connection,
                "UPDATE WPKD_ORDERS SET CRASHES = ?2 WHERE TASK_ID = ?1",
            )?
            .execute(params![one.task.id.0, one.crashes])?;
        }
    }
    Ok(found)
}

pub(crate) fn begin_installer(
    connection: &Connection,
    id: TaskId,
    now: UnixTime,
) -> Result<bool, Fault> {
    let begun = prepared(
        connection,
        "INSERT INTO WPKD_ORDERS (TASK_ID, OURS, INSTALLER_BEGUN) \
         SELECT TASK_ID, 0, ?2 FROM TASKS WHERE TASK_ID = ?1 AND STATUS = 'In progress' \
         ON CONFLICT (TASK_ID) DO UPDATE SET INSTALLER_BEGUN = excluded.INSTALLER_BEGUN \
         WHERE INSTALLER_BEGUN IS NULL",
    )?
    .execute(params![id.0, now])?
        == 1;
    if begun {
        touch(connection, &[id], now)?;
        timeline::add(
            connection,
            id,
            &TimelineEntry::new(now, TimelineStep::Upgrade),
        )?;
    }
    Ok(begun)
}

pub(crate) fn touch(connection: &Connection, tasks: &[TaskId], now: UnixTime) -> Result<(), Fault> {
    let mut statement = prepared(
        connection,
        "UPDATE TASKS SET LAST_UPDATE_TIME = ?2 WHERE TASK_ID = ?1 AND STATUS = 'In progress'",
    )?;
    for id in tasks {
        if statement.execute(params![id.0, now])? > 0 {
            feed::changed(connection, *id)?;
        }
    }
    Ok(())
}

pub(crate) fn cancel(
    connection: &Connection,
    node: &str,
    which: Cancel,
    now: UnixTime,
) -> Result<u64, Fault> {
    let mut live = prepared(connection, LIVE_ON)?;
    let mut cancelled = 0;
    for id in ids(&mut live, params![node])? {
        let Some(mut task) = read::by_id(connection, id)? else {
            continue;
        };
        let standing = read::standing(connection, id)?;
        let meant = match which {
            Cancel::WithoutOrder => task.status == Status::Pending && !standing.ours,
            Cancel::Pending => task.status == Status::Pending,
            Cancel::NotBegun => true,
        };
        if !meant || !(task.status).may_become(&Status::Cancelled, standing, Mover::Delivery) {
            continue;
        }
        task.status = Status::Cancelled;
        task.updated = Some(now);
        set(connection, &task)?;
        timeline::add(
            connection,
            id,
            &TimelineEntry::new(now, TimelineStep::Cancelled),
        )?;
        cancelled += 1;
    }
    Ok(cancelled)
}

pub(crate) fn withdraw(connection: &Connection, tasks: &[TaskId]) -> Result<u64, Fault> {
    let mut waiting = prepared(
        connection,
        "SELECT TASK_ID FROM TASKS WHERE TASK_ID = ?1 AND STATUS = 'Pending'",
    )?;
    let mut deleted = 0;
    for id in tasks {
        for id in ids(&mut waiting, [id.0])? {
            delete(connection, id)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

pub(crate) fn expire(
    connection: &Connection,
    overdue: &[Overdue],
    now: UnixTime,
) -> Result<Vec<Task>, Fault> {
    let mut expired = Vec::new();
    for one in overdue {
        let found = read::by_id(connection, one.task)?;
        let unchanged =
            |task: &Task| task.status == Status::InProgress && task.updated == one.updated;
        if let Some(mut task) = found.filter(unchanged) {
            task.status = Status::Timeout;
            task.updated = Some(now);
            set(connection, &task)?;
            timeline::add(
                connection,
                task.id,
                &TimelineEntry::new(now, TimelineStep::Timeout),
            )?;
            expired.push(task);
        }
    }
    Ok(expired)
}

pub(crate) fn confirm(
    connection: &Connection,
    id: TaskId,
    confirmation: &Confirmation,
    at: UnixTime,
) -> Result<bool, Fault> {
    let found = read::by_id(connection, id)?;
    let Some(mut task) = found.filter(|task| task.status == Status::Done) else {
        return Ok(false);
    };
    task.confirmation = Some(confirmation.clone());
    set(connection, &task)?;
    timeline::add(connection, id, &timeline::confirmed(confirmation, at))?;
    Ok(true)
}

/// In rounds, so that memory does not grow with the number of old tasks.
pub(crate) fn purge(connection: &Connection, created_until: UnixTime) -> Result<u64, Fault> {
    let mut old = prepared(
        connection,
        "SELECT TASK_ID FROM TASKS WHERE TASK_ID > ?1 AND ifnull(CREATE_TIME, 0) <= ?2 \
         AND ifnull(STATUS, '') NOT IN ('Pending', 'In progress') ORDER BY TASK_ID LIMIT ?3",
    )?;
    let (mut deleted, mut after) = (0, i64::MIN);
    loop {
        let round = ids(&mut old, params![after, created_until, PURGE_ROUND])?;
        let Some(last) = round.last() else {
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

fn ids(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
) -> Result<Vec<TaskId>, Fault> {
    let rows = statement.query_map(parameters, |row| row.get(0).map(TaskId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn prepared<'c>(
    connection: &'c Connection,
    sql: &str,
) -> Result<CachedStatement<'c>, Fault> {
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
            (read::SPOKEN_OF, "WPKD_TASKS_AGENT"),
            (read::IN_PROGRESS, "WPKD_TASKS_WORK"),
            (LIVE_OF, "WPKD_TASKS_LIVE"),
            (CLAIMABLE, "WPKD_TASKS_WORK"),
            (LIVE_ON, "WPKD_TASKS_WORK"),
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
