//! Many new tasks that are alike, a statement for [`ROWS`] of them.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use rusqlite::{Connection, ToSql, params, params_from_iter};
use wpk_api::{NewTask, TaskId};

use crate::fault::Fault;
use crate::read::{live, of_upgrades};
use crate::statement::prepared;

/// How a row of `WPKD_LIVE` is made: only one whose task is no longer live gives way.
macro_rules! unless_live {
    () => {
        "ON CONFLICT (AGENT_ID) DO UPDATE SET TASK_ID = excluded.TASK_ID WHERE NOT EXISTS (\
         SELECT 1 FROM TASKS t WHERE t.TASK_ID = WPKD_LIVE.TASK_ID \
         AND t.AGENT_ID = WPKD_LIVE.AGENT_ID AND t.STATUS IN ('Pending', 'In progress'))"
    };
}
pub(crate) use unless_live;

/// Tasks that are made at a time.
pub(crate) const ROWS: usize = 64;

/// `row` for each of them, with the number of its parameter: from `first` on.
fn rows(begin: &str, first: usize, row: impl Fn(usize, usize) -> String) -> String {
    let mut sql = begin.to_owned();
    for number in 0..ROWS {
        let separator = if number == 0 { " " } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(sql, "{separator}{}", row(number, first + number));
    }
    sql
}

/// A live task of one of their agents, a JSON list. From left to right: the index of all
/// that waits would lead through all that waits.
pub(crate) const LIVES: &str = concat!(
    "SELECT t.TASK_ID FROM json_each(?1) CROSS JOIN TASKS t WHERE ",
    live!(),
    " AND ",
    of_upgrades!(),
    " AND t.AGENT_ID = json_each.value LIMIT 1"
);

/// No LAST_UPDATE_TIME and no ERROR_MESSAGE: NULL until there is one.
static TASKS: LazyLock<String> = LazyLock::new(|| {
    let begin = "INSERT INTO TASKS (NODE, MODULE, COMMAND, CREATE_TIME, AGENT_ID, STATUS) VALUES";
    rows(begin, 5, |_, agent| {
        format!("(?1, ?2, ?3, ?4, ?{agent}, 'Pending')")
    })
});

static ORDERS: LazyLock<String> = LazyLock::new(|| {
    let begin = "INSERT OR REPLACE INTO WPKD_ORDERS (TASK_ID, TASK_ORDER) VALUES";
    rows(begin, 2, |number, order| {
        format!("(?1 + {number}, ?{order})")
    })
});

pub(crate) const CHANGES: &str = "INSERT INTO WPKD_CHANGES (TASK_ID, STATUS) \
    SELECT TASK_ID, 'Pending' FROM TASKS WHERE TASK_ID BETWEEN ?1 AND ?2 ORDER BY TASK_ID";

pub(crate) const OCCUPY: &str = concat!(
    "INSERT INTO WPKD_LIVE (AGENT_ID, TASK_ID) \
     SELECT AGENT_ID, TASK_ID FROM TASKS WHERE TASK_ID BETWEEN ?1 AND ?2 ",
    unless_live!()
);

/// Whether they are [`ROWS`] tasks that differ in agent and order alone.
pub(crate) fn are_alike(tasks: &[NewTask]) -> bool {
    let [first, ..] = tasks else {
        return false;
    };
    let mut agents = HashSet::with_capacity(ROWS);
    tasks.len() == ROWS
        && tasks.iter().all(|task| {
            task.exclusive
                && task.order.is_some()
                && !task.held
                && task.fence.is_none()
                && task.created == first.created
                && task.command == first.command
                && task.node == first.node
                && task.module == first.module
                && agents.insert(task.agent)
        })
}

/// Whether none of their agents has a live task, here or elsewhere.
pub(crate) fn nobody_lives(connection: &Connection, tasks: &[NewTask]) -> Result<bool, Fault> {
    let agents: Vec<_> = tasks.iter().map(|task| task.agent.get()).collect();
    let agents = serde_json::json!(agents).to_string();
    Ok(!prepared(connection, LIVES)?.exists([agents])?)
}

/// Makes them, and gives their ids in their order: [`are_alike`], and [`nobody_lives`].
pub(crate) fn create(
    connection: &Connection,
    tasks: &[NewTask],
) -> Result<impl Iterator<Item = TaskId>, Fault> {
    let [first, ..] = tasks else {
        return Err(Fault::Nonsense("no tasks are made at all".to_owned()));
    };
    let agents: Vec<_> = tasks.iter().map(|task| task.agent.get()).collect();
    let command = first.command.as_str();
    let same: [&dyn ToSql; 4] = [&first.node, &first.module, &command, &first.created];
    let agents = agents.iter().map(|agent| -> &dyn ToSql { agent });
    let values = params_from_iter(same.into_iter().chain(agents));
    prepared(connection, &TASKS)?.execute(values)?;
    let last = connection.last_insert_rowid();
    let begin = last - (ROWS as i64 - 1);
    let orders = tasks.iter().map(|task| task.order.as_ref());
    let orders: Vec<_> = orders
        .map(|order| order.map(wpk_api::KeptOrder::to_json))
        .collect();
    let orders = orders.iter().map(|order| -> &dyn ToSql { order });
    let begin_id: &dyn ToSql = &begin;
    let values = params_from_iter(std::iter::once(begin_id).chain(orders));
    prepared(connection, &ORDERS)?.execute(values)?;
    prepared(connection, CHANGES)?.execute(params![begin, last])?;
    // One statement gives ids one after the other; and nobody else writes meanwhile.
    let occupied = prepared(connection, OCCUPY)?.execute(params![begin, last])?;
    if occupied != ROWS {
        return Err(Fault::Nonsense(format!(
            "of {ROWS} new tasks from {begin} to {last} only {occupied} are their agents' live \
             ones: a row of WPKD_LIVE stands for a task that TASKS does not know as its agent's"
        )));
    }
    Ok((begin..=last).map(TaskId))
}
