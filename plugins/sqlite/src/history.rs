//! Which tasks there are, page by page.

use rusqlite::{Connection, params};
use wpk_api::{Task, TaskKind, TaskPage, TaskPlace, TaskQuery};

use crate::fault::Fault;
use crate::read::{columns, ids_of, live, of_upgrades, task, tasks};
use crate::statement::prepared;

/// Behind a place, down to a time, by the index of times.
pub(crate) const BY_TIME: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    "(t.CREATE_TIME, t.TASK_ID) < (?1, ?2) AND t.CREATE_TIME >= ?3 \
     AND t.AGENT_ID BETWEEN 0 AND 2147483647 AND ",
    of_upgrades!(),
    " ORDER BY t.CREATE_TIME DESC, t.TASK_ID DESC LIMIT ?4"
);

/// The same of what lives, by the index of that: with a `+`, no other is of use.
pub(crate) const LIVE: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    live!(),
    " AND (+t.CREATE_TIME, +t.TASK_ID) < (?1, ?2) AND +t.CREATE_TIME >= ?3 AND ",
    of_upgrades!(),
    " ORDER BY +t.CREATE_TIME DESC, +t.TASK_ID DESC LIMIT ?4"
);

/// The same of some agents, a list in JSON. From left to right: the index of all that waits
/// would lead through all that waits.
pub(crate) const OF_AGENTS: &str = concat!(
    "SELECT ",
    columns!(),
    tasks!(),
    "t.TASK_ID IN ",
    ids_of!("json_each(?5) CROSS JOIN TASKS WHERE AGENT_ID = json_each.value"),
    " AND (+t.CREATE_TIME, +t.TASK_ID) < (?1, ?2) AND +t.CREATE_TIME >= ?3 AND ",
    of_upgrades!(),
    " ORDER BY +t.CREATE_TIME DESC, +t.TASK_ID DESC LIMIT ?4"
);

/// See [`wpk_api::TaskStore::history`].
pub(crate) fn page(connection: &Connection, query: &TaskQuery) -> Result<TaskPage, Fault> {
    let before = query.before.unwrap_or(TaskPlace::FIRST);
    let since = query.since.unwrap_or(i64::MIN);
    let limit = i64::try_from(query.looks_at()).unwrap_or(i64::MAX);
    let (created, id) = (before.created, before.task.0);
    let looked_at: Vec<Task> = if !query.agents.is_empty() {
        let agents: Vec<u32> = query.agents.iter().map(|agent| agent.get()).collect();
        let agents =
            serde_json::to_string(&agents).map_err(|error| Fault::Nonsense(error.to_string()))?;
        let mut statement = prepared(connection, OF_AGENTS)?;
        let rows = statement.query_map(params![created, id, since, limit, agents], task)?;
        rows.collect::<Result<_, _>>()?
    } else {
        let text = match query.only {
            TaskKind::Live => LIVE,
            TaskKind::All | TaskKind::Troubled => BY_TIME,
        };
        let mut statement = prepared(connection, text)?;
        let rows = statement.query_map(params![created, id, since, limit], task)?;
        rows.collect::<Result<_, _>>()?
    };
    Ok(query.page(looked_at))
}
