//! How tasks go: withdrawn while they wait, purged when they are old, and what belongs to
//! them with them.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;
use wpk_api::{Task, TaskId, TaskPlace, UnixTime};

use crate::fault::Fault;
use crate::pool::{Sql, Values};
use crate::rows::{columns, numbers, task};
use crate::work::Work;

/// Tasks that are deleted in one transaction: what a purge keeps others waiting for.
pub(crate) const ROUND: i64 = 5_000;
/// Seconds after which a node that is gone is forgotten, and with it how far its readers
/// of the feed have come.
pub(crate) const FORGOTTEN: f64 = 7.0 * 86_400.0;

static DELETE: Sql = Sql {
    text: concat!(
        "DELETE FROM @tasks t WHERE t.id = ANY ($1) RETURNING ",
        columns!()
    ),
    types: &[Type::INT8_ARRAY],
};

static TIMELINES: Sql = Sql {
    text: "DELETE FROM @timeline WHERE task = ANY ($1)",
    types: &[Type::INT8_ARRAY],
};

/// What every reader has passed of tasks that are gone.
static PASSED_CHANGES: Sql = Sql {
    text: "DELETE FROM @changes WHERE task = ANY ($1) AND revision <= \
           (SELECT coalesce(min(place), 9223372036854775807) FROM @readers)",
    types: &[Type::INT8_ARRAY],
};

static WAITING: Sql = Sql {
    text: "SELECT t.id FROM @tasks t JOIN unnest($1::int8[]) WITH ORDINALITY u(id, at) \
           ON t.id = u.id WHERE t.status = 'Pending' AND NOT t.ours AND NOT t.held \
           ORDER BY t.id FOR UPDATE OF t",
    types: &[Type::INT8_ARRAY],
};

/// What may be old enough, in the order of the index `tasks_created`: however many there
/// are, each is looked at once.
static ENDED: Sql = Sql {
    text: "SELECT t.created, t.id FROM @tasks t WHERE t.created <= $1 \
           AND (t.created, t.id) > ($2, $3) AND t.status NOT IN ('Pending', 'In progress') \
           ORDER BY t.created, t.id LIMIT $4",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

/// One that has timed out and is old goes first, and shields no other, unless a document
/// keeps it.
static OLD: Sql = Sql {
    text: "SELECT t.id FROM @tasks t WHERE t.id = ANY ($2) \
           AND t.status NOT IN ('Pending', 'In progress') \
           AND NOT EXISTS (SELECT 1 FROM @documents d WHERE d.key = t.fence_key AND d.keeps_tasks) \
           AND NOT EXISTS (SELECT 1 FROM @tasks o WHERE o.agent = t.agent AND o.id < t.id \
               AND (o.status = 'In progress' OR o.status = 'Timeout' AND (o.created > $1 OR EXISTS (\
                   SELECT 1 FROM @documents d WHERE d.key = o.fence_key AND d.keeps_tasks)))) \
           ORDER BY t.id FOR UPDATE OF t",
    types: &[Type::INT8, Type::INT8_ARRAY],
};

/// Changes of deleted tasks that every reader has passed since.
static FORGET: Sql = Sql {
    text: "DELETE FROM @changes c USING @changes d WHERE d.gone AND d.revision <= \
           (SELECT coalesce(min(place), 9223372036854775807) FROM @readers) \
           AND c.task = d.task",
    types: &[],
};

/// Deletes tasks and what belongs to them; the tasks as they were. The feed is told by
/// whoever asks, in the right order.
pub(crate) async fn delete(work: &mut Work<'_>, ids: &[TaskId]) -> Result<Vec<Task>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = numbers(ids);
    let rows = work.ask(&DELETE, &[&ids]).await?;
    work.ask(&TIMELINES, &[&ids]).await?;
    work.ask(&PASSED_CHANGES, &[&ids]).await?;
    rows.iter().map(task).collect()
}

/// See [`wpk_api::TaskStore::withdraw`].
pub(crate) async fn withdraw(work: &mut Work<'_>, ids: &[TaskId]) -> Result<u64, Fault> {
    let rows = work.ask(&WAITING, &[&numbers(ids)]).await?;
    let waiting = rows.iter().map(|row| row.try_get(0).map(TaskId));
    let mut waiting: HashSet<TaskId> = waiting.collect::<Result<_, _>>()?;
    // In the given order, each once.
    let meant: Vec<TaskId> = ids
        .iter()
        .copied()
        .filter(|id| waiting.remove(id))
        .collect();
    let deleted = delete(work, &meant).await?;
    let mut deleted: HashMap<TaskId, Task> =
        deleted.into_iter().map(|task| (task.id, task)).collect();
    let count = deleted.len() as u64;
    for task in meant.iter().filter_map(|id| deleted.remove(id)) {
        work.pending.tell(task, true);
    }
    Ok(count)
}

/// One round of [`wpk_api::TaskStore::purge`] behind a place: how many are gone, and where
/// the next one goes on.
pub(crate) async fn purge(
    work: &mut Work<'_>,
    after: TaskPlace,
    created_until: UnixTime,
) -> Result<Option<(u64, TaskPlace)>, Fault> {
    let (created, id) = (after.created, after.task.0);
    let behind: Values<'_> = &[&created_until, &created, &id, &ROUND];
    let rows = work.ask(&ENDED, behind).await?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let last = TaskPlace {
        created: last.try_get(0)?,
        task: TaskId(last.try_get(1)?),
    };
    let ended = rows.iter().map(|row| row.try_get(1));
    let ended: Vec<i64> = ended.collect::<Result<_, _>>()?;
    let rows = work.ask(&OLD, &[&created_until, &ended]).await?;
    let ids = rows.iter().map(|row| row.try_get(0).map(TaskId));
    let ids: Vec<TaskId> = ids.collect::<Result<_, _>>()?;
    let mut tasks = delete(work, &ids).await?;
    tasks.sort_by_key(|task| task.id);
    let count = tasks.len() as u64;
    for task in tasks {
        work.pending.tell(task, true);
    }
    Ok(Some((count, last)))
}

static READERS: Sql = Sql {
    text: "DELETE FROM @readers r WHERE r.node <> '' AND EXISTS (SELECT 1 FROM @leases l \
           WHERE l.node = r.node AND l.until < clock_timestamp() - make_interval(secs => $1))",
    types: &[Type::FLOAT8],
};

/// A node that has a task is not forgotten.
static NODES: Sql = Sql {
    text: "WITH gone AS (DELETE FROM @leases l \
               WHERE l.until < clock_timestamp() - make_interval(secs => $1) AND NOT EXISTS (\
                   SELECT 1 FROM @tasks t WHERE t.node = l.node) RETURNING l.node) \
           DELETE FROM @nodes n USING gone WHERE n.node = gone.node",
    types: &[Type::FLOAT8],
};

/// Forgets what nobody will ask for: readers of nodes that are long gone, those nodes,
/// and what every other reader has passed of deleted tasks.
pub(crate) async fn forget(work: &mut Work<'_>) -> Result<(), Fault> {
    work.ask(&READERS, &[&FORGOTTEN]).await?;
    work.ask(&NODES, &[&FORGOTTEN]).await?;
    work.ask(&FORGET, &[]).await?;
    Ok(())
}
