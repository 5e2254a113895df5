//! The statements that read, and how a row becomes a [`Task`]. The rows may be
//! another program's: whatever a column holds, reading it does not fail.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{AgentId, Awaiting, Claimed, Confirmation, Standing, Task, TaskId, Version};
use wpk_sqlite_file::tasks::task_of;
pub(crate) use wpk_sqlite_file::tasks::{integer, text};

use crate::fault::Fault;

/// The columns of a task `t` with its order `o`, in the order of [`task`].
macro_rules! columns {
    () => {
        "t.TASK_ID, t.AGENT_ID, t.NODE, t.MODULE, t.COMMAND, t.CREATE_TIME, \
         t.LAST_UPDATE_TIME, t.STATUS, t.ERROR_MESSAGE, o.CONFIRMATION"
    };
}
/// Where [`columns`] come from.
macro_rules! tasks {
    () => {
        " FROM TASKS t LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE "
    };
}

/// Tasks `t` of real agents that are live: the first line lets SQLite use the
/// partial indexes, the second leaves out rows no [`Task`] can be made of.
macro_rules! live {
    () => {
        "t.STATUS IN ('Pending', 'In progress') \
         AND t.AGENT_ID BETWEEN 0 AND 2147483647"
    };
}
/// Upgrade tasks `t`: the table may hold tasks of other modules too.
macro_rules! of_upgrades {
    () => {
        "t.COMMAND IN ('upgrade', 'upgrade_custom')"
    };
}

/// The ids of the tasks `$of` (`TASKS WHERE ` and what says whose). What lives and what has
/// ended have an index each, in whose words they are asked for (`schema.rs`), so that a new
/// task is entered into the small one alone: in one of all, each agent's lie on a page of
/// their own.
macro_rules! ids_of {
    ($of:literal) => {
        concat!(
            "(SELECT TASK_ID FROM ",
            $of,
            " AND STATUS IN ('Pending', 'In progress') UNION ALL SELECT TASK_ID FROM ",
            $of,
            " AND ifnull(STATUS, '') NOT IN ('Pending', 'In progress'))"
        )
    };
}

/// That `t` is the newest task of agent ?1 for which this holds, of tasks `t` and orders `o`.
macro_rules! newest_of {
    ($($such:tt)*) => {
        concat!(
            "t.AGENT_ID = ?1 AND t.TASK_ID = (SELECT max(id) FROM (SELECT (SELECT t.TASK_ID",
            tasks!(),
            "t.AGENT_ID = ?1 AND t.STATUS IN ('Pending', 'In progress') AND ",
            $($such)*,
            " ORDER BY t.TASK_ID DESC LIMIT 1) AS id UNION ALL SELECT (SELECT t.TASK_ID",
            tasks!(),
            "t.AGENT_ID = ?1 AND ifnull(t.STATUS, '') NOT IN ('Pending', 'In progress') AND ",
            $($such)*,
            " ORDER BY t.TASK_ID DESC LIMIT 1)))"
        )
    };
}
pub(crate) use {columns, ids_of, live, newest_of, of_upgrades, tasks};

pub(crate) const LATEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM WPKD_NEWEST n CROSS JOIN TASKS t ON t.TASK_ID = n.TASK_ID \
     LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID \
     WHERE n.AGENT_ID = ?1 AND t.AGENT_ID = ?1"
);

/// As [`LATEST`], by the tasks themselves.
pub(crate) const IN_HISTORY: &str =
    concat!("SELECT ", columns!(), tasks!(), newest_of!(of_upgrades!()));

/// See [`wpk_api::Selector::SpokenOf`].
pub(crate) const SPOKEN_OF: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    newest_of!(
        of_upgrades!(),
        " AND (ifnull(o.OURS, 0) = 0 OR o.INSTALLER_BEGUN IS NOT NULL)"
    )
);

/// See [`wpk_api::TaskStore::in_progress`].
pub(crate) const IN_PROGRESS: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    live!(),
    " AND t.STATUS = 'In progress' AND t.TASK_ID > ?1 ORDER BY t.TASK_ID LIMIT ?2"
);

pub(crate) const INTERRUPTED: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.TASK_ORDER, o.CRASHES FROM TASKS t JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE ",
    live!(),
    " AND t.STATUS = 'In progress' AND t.NODE = ?1 AND o.TASK_ORDER IS NOT NULL \
     AND o.CLAIMED IS NOT NULL AND o.INSTALLER_BEGUN IS NULL ORDER BY t.TASK_ID"
);

/// `"awaited"` is how [`Confirmation::Awaited`] is stored; the index holds no others.
pub(crate) const AWAITING: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.TARGET FROM WPKD_ORDERS o CROSS JOIN TASKS t ON t.TASK_ID = o.TASK_ID \
     WHERE o.CONFIRMATION = '\"awaited\"' AND o.TASK_ID > ?1 AND t.NODE = ?2 \
     AND t.AGENT_ID BETWEEN 0 AND 2147483647 ORDER BY o.TASK_ID LIMIT ?3"
);

pub(crate) const BEGUN_AFTER: &str = concat!(
    "SELECT o.TASK_ID FROM WPKD_ORDERS o WHERE o.TASK_ID IN ",
    ids_of!("TASKS WHERE AGENT_ID = ?1 AND TASK_ID > ?2"),
    " AND o.INSTALLER_BEGUN IS NOT NULL ORDER BY o.TASK_ID LIMIT 1"
);

/// The task of an agent that `sql` finds ([`LATEST`], [`SPOKEN_OF`]).
pub(crate) fn of_agent(
    connection: &Connection,
    sql: &str,
    agent: AgentId,
) -> Result<Option<Task>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([agent.get()], task).optional()?)
}

/// The newest task of an agent.
pub(crate) fn latest(connection: &Connection, agent: AgentId) -> Result<Option<Task>, Fault> {
    match of_agent(connection, LATEST, agent)? {
        // Or somebody else deleted it from the file, and an older one is there.
        None => of_agent(connection, IN_HISTORY, agent),
        found => Ok(found),
    }
}

/// The newest task of each agent, in their order.
pub(crate) fn latest_of_all(
    connection: &Connection,
    agents: &[AgentId],
) -> Result<Vec<Option<Task>>, Fault> {
    agents
        .iter()
        .map(|agent| latest(connection, *agent))
        .collect()
}

/// The task with this id.
pub(crate) fn by_id(connection: &Connection, id: TaskId) -> Result<Option<Task>, Fault> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        tasks!(),
        "t.TASK_ID = ?1 AND t.AGENT_ID BETWEEN 0 AND 2147483647"
    ))?;
    Ok(statement.query_row([id.0], task).optional()?)
}

/// The node of a task.
pub(crate) fn node_of(connection: &Connection, id: TaskId) -> Result<Option<String>, Fault> {
    let sql = "SELECT NODE FROM TASKS WHERE TASK_ID = ?1";
    let node = |row: &Row<'_>| Ok(text(row.get_ref(0)?).unwrap_or_default());
    let found = connection.prepare_cached(sql)?.query_row([id.0], node);
    Ok(found.optional()?)
}

/// Whether a task is ours and begun.
pub(crate) fn standing(connection: &Connection, id: TaskId) -> Result<Standing, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT OURS <> 0, INSTALLER_BEGUN IS NOT NULL FROM WPKD_ORDERS WHERE TASK_ID = ?1",
    )?;
    let standing = |row: &Row<'_>| {
        Ok(Standing {
            ours: row.get(0)?,
            begun: row.get(1)?,
        })
    };
    let found = statement.query_row([id.0], standing).optional()?;
    Ok(found.unwrap_or_default())
}

/// Whether a task was made by somebody else.
pub(crate) fn is_imported(connection: &Connection, id: TaskId) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM WPKD_IMPORTED WHERE TASK_ID = ?1";
    Ok(connection.prepare_cached(sql)?.exists([id.0])?)
}

/// Whether the node of a task holds its order.
pub(crate) fn is_held(connection: &Connection, id: TaskId) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM WPKD_HELD WHERE TASK_ID = ?1";
    Ok(connection.prepare_cached(sql)?.exists([id.0])?)
}

/// Whether a live task waits to be taken.
pub(crate) fn waits(connection: &Connection, id: TaskId) -> Result<bool, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM WPKD_ORDERS WHERE TASK_ID = ?1 AND TASK_ORDER IS NOT NULL \
         AND CLAIMED IS NULL AND INSTALLER_BEGUN IS NULL",
    )?;
    Ok(statement.exists([id.0])?)
}

/// See [`wpk_api::TaskStore::in_progress`].
pub(crate) fn in_progress(
    connection: &Connection,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Task>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(IN_PROGRESS)?;
    let rows = statement.query_map(params![after.0, limit], task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The version that the installer of a task was begun with.
pub(crate) fn target(connection: &Connection, id: TaskId) -> Result<Option<Version>, Fault> {
    let sql = "SELECT TARGET FROM WPKD_ORDERS WHERE TASK_ID = ?1";
    let stored = |row: &Row<'_>| Ok(text(row.get_ref(0)?));
    let found = connection.prepare_cached(sql)?.query_row([id.0], stored);
    Ok(version(found.optional()?.flatten()))
}

pub(crate) fn version(stored: Option<String>) -> Option<Version> {
    stored?.parse().ok()
}

/// See [`wpk_api::TaskStore::awaiting`].
pub(crate) fn awaiting(
    connection: &Connection,
    node: &str,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Awaiting>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(AWAITING)?;
    let rows = statement.query_map(params![after.0, node, limit], |row| {
        Ok((task(row)?, text(row.get_ref(10)?)))
    })?;
    let mut later = connection.prepare_cached(BEGUN_AFTER)?;
    let mut awaiting = Vec::new();
    for row in rows {
        let (task, target) = row?;
        let Some(target) = version(target) else {
            continue;
        };
        let next = later.query_row(params![task.agent.get(), task.id.0], |row| {
            row.get(0).map(TaskId)
        });
        awaiting.push(Awaiting {
            next: next.optional()?,
            target,
            task,
        });
    }
    Ok(awaiting)
}

/// A task from a row that starts with [`columns`].
pub(crate) fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        confirmation: confirmation(row.get_ref(9)?),
        ..task_of(row)?
    })
}

/// What was stored about the check of a version; nothing for what cannot be read.
pub(crate) fn confirmation(value: ValueRef<'_>) -> Option<Confirmation> {
    serde_json::from_str(&text(value)?).ok()
}

/// A task and its order, from a row of [`columns`], `TASK_ORDER` and `CRASHES`.
pub(crate) fn claimed(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let task = task(row)?;
    let stored = text(row.get_ref(10)?).unwrap_or_default();
    let crashes = integer(row.get_ref(11)?).unwrap_or_default();
    let order = serde_json::from_str(&stored).map_err(|error| {
        format!(
            "the stored order of task {} cannot be read: {error}",
            task.id
        )
    });
    Ok(Claimed {
        task,
        order,
        crashes: u32::try_from(crashes).unwrap_or(u32::MAX),
    })
}
