//! Who may write under which name, for how long it counts as alive, and what becomes of
//! the tasks of one that does not: see "One store, several daemons" of
//! [`wpk_api::TaskStore`].

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{Entered, Entrance, Entry, Held, Holder, NodeState, TaskId, TimelineEntry};

use crate::fault::Fault;
use crate::listen;
use crate::moves::{hold, note};
use crate::pool::Sql;
use crate::rows::{columns, text};
use crate::work::{Own, Work};

/// Incarnations ascend in the order in which entries count, whatever their names.
static TURN: Sql = Sql {
    text: "SELECT 1 FROM @turns WHERE turn = 'enter' FOR UPDATE",
    types: &[],
};

macro_rules! states {
    () => {
        "SELECT n.node, n.incarnation, n.host, n.machine, n.process, n.started, \
         (extract(epoch FROM c.at - l.renewed) * 1000000)::int8, \
         (extract(epoch FROM l.until - c.at) * 1000000)::int8 \
         FROM (SELECT clock_timestamp() AS at) c, @nodes n JOIN @leases l ON l.node = n.node "
    };
}

static HOLDS: Sql = Sql {
    text: concat!(states!(), "WHERE n.node = $1 FOR UPDATE OF n, l"),
    types: &[Type::TEXT],
};

pub(crate) static NODES: Sql = Sql {
    text: concat!(states!(), "ORDER BY n.node"),
    types: &[],
};

static ENTER: Sql = Sql {
    text: "WITH n AS (INSERT INTO @nodes (node, incarnation, host, machine, process, started) \
               VALUES ($1, nextval('@incarnations'), $2, $3, $4, $5) \
               ON CONFLICT (node) DO UPDATE SET incarnation = excluded.incarnation, \
                   host = excluded.host, machine = excluded.machine, \
                   process = excluded.process, started = excluded.started \
               RETURNING node, incarnation) \
           INSERT INTO @leases AS l (node, incarnation, renewed, until) \
           SELECT node, incarnation, clock_timestamp(), \
               clock_timestamp() + make_interval(secs => $6) FROM n \
           ON CONFLICT (node) DO UPDATE SET incarnation = excluded.incarnation, \
               renewed = excluded.renewed, until = excluded.until \
           RETURNING l.incarnation",
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::FLOAT8,
    ],
};

/// Nobody but an entry changes the incarnation of a lease.
pub(crate) static RENEW: Sql = Sql {
    text: "UPDATE @leases SET renewed = clock_timestamp(), \
               until = clock_timestamp() + make_interval(secs => $3) \
           WHERE node = $1 AND incarnation = $2 RETURNING 1",
    types: &[Type::TEXT, Type::INT8, Type::FLOAT8],
};

static LEAVE: Sql = Sql {
    text: "UPDATE @leases SET until = least(until, clock_timestamp()) \
           WHERE node = $1 AND incarnation = $2",
    types: &[Type::TEXT, Type::INT8],
};

/// From name to name along the index, however many tasks each has; then the tasks of
/// those that do not live.
pub(crate) static ORPHANS: Sql = Sql {
    text: concat!(
        "WITH RECURSIVE names AS (\
             (SELECT t.node FROM @tasks t WHERE t.task_order IS NOT NULL AND t.begun IS NULL \
                  ORDER BY t.node LIMIT 1) \
             UNION ALL SELECT (SELECT t.node FROM @tasks t WHERE t.task_order IS NOT NULL \
                 AND t.begun IS NULL AND t.node > n.node ORDER BY t.node LIMIT 1) \
                 FROM names n WHERE n.node IS NOT NULL), \
         left_ones AS (SELECT n.node FROM names n WHERE n.node IS NOT NULL AND n.node <> $1 \
             AND NOT EXISTS (SELECT 1 FROM @leases l WHERE l.node = n.node \
                 AND l.until > clock_timestamp())) \
         SELECT ",
        columns!(),
        " FROM left_ones o CROSS JOIN LATERAL (SELECT * FROM @tasks t WHERE t.node = o.node \
             AND t.task_order IS NOT NULL AND t.begun IS NULL AND t.id > $2 \
             ORDER BY t.id LIMIT $3) t ORDER BY t.id LIMIT $3"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

static LIVING: Sql = Sql {
    text: "SELECT node FROM @leases WHERE node = ANY ($1) AND until > clock_timestamp()",
    types: &[Type::TEXT_ARRAY],
};

/// Enters, or says who holds the name; `Held` changes nothing.
pub(crate) async fn enter(
    work: &mut Work<'_>,
    entry: &Entry,
    lease: Duration,
) -> Result<Entrance, Fault> {
    if !(1..=64).contains(&entry.node.len()) {
        return Err(Fault::Nonsense(format!(
            "a node's name has 1 to 64 bytes here, this one {}",
            entry.node.len()
        )));
    }
    work.ask(&TURN, &[]).await?;
    let node = text(&entry.node);
    if let Some(row) = work.ask(&HOLDS, &[&node]).await?.first() {
        let found = state(row)?;
        if found.lives && entry.replaces != Some(found.held.incarnation) {
            return Ok(Entrance::Held(found.held));
        }
    }
    let holder = &entry.holder;
    let rows = work
        .ask(
            &ENTER,
            &[
                &node,
                &text(&holder.host),
                &text(&holder.machine),
                &i64::from(holder.process),
                &text(&holder.started),
                &lease.as_secs_f64(),
            ],
        )
        .await?;
    let incarnation: i64 = match rows.first() {
        Some(row) => row.try_get(0)?,
        None => return Err(Fault::Nonsense("the entry was not stored".to_owned())),
    };
    Ok(Entrance::Entered(Entered {
        incarnation: incarnation.unsigned_abs(),
        lease: Some(lease),
    }))
}

/// A node, from a row of [`NODES`].
pub(crate) fn state(row: &Row) -> Result<NodeState, Fault> {
    let incarnation: i64 = row.try_get(1)?;
    let process: i64 = row.try_get(4)?;
    let (age, left): (i64, i64) = (row.try_get(6)?, row.try_get(7)?);
    let span = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    Ok(NodeState {
        node: row.try_get(0)?,
        held: Held {
            holder: Holder {
                host: row.try_get(2)?,
                machine: row.try_get(3)?,
                process: u32::try_from(process).unwrap_or_default(),
                started: row.try_get(5)?,
            },
            incarnation: incarnation.unsigned_abs(),
            age: span(age),
            left: span(left),
        },
        lives: left > 0,
    })
}

/// See [`wpk_api::TaskStore::leave`]; that it may is found out before.
pub(crate) async fn leave(work: &mut Work<'_>) -> Result<(), Fault> {
    let Some(own) = work.own.clone() else {
        return Ok(());
    };
    let incarnation = number(&own);
    work.ask(&LEAVE, &[&own.node, &incarnation]).await?;
    // Whoever can, takes what is left.
    listen::tell_all(work).await
}

/// An incarnation as the database counts it.
pub(crate) fn number(own: &Own) -> i64 {
    i64::try_from(own.incarnation).unwrap_or(i64::MAX)
}

/// Which of these names live.
async fn living(work: &mut Work<'_>, names: &[&str]) -> Result<Vec<String>, Fault> {
    let rows = work.ask(&LIVING, &[&names]).await?;
    let names = rows.iter().map(|row| row.try_get(0));
    Ok(names.collect::<Result<_, _>>()?)
}

/// See [`wpk_api::TaskStore::take_over`].
pub(crate) async fn take_over(work: &mut Work<'_>, tasks: &[TaskId]) -> Result<Vec<TaskId>, Fault> {
    let Some(own) = work.node().map(str::to_owned) else {
        return Ok(Vec::new());
    };
    let held = hold(work, tasks).await?;
    let names: Vec<&str> = held
        .values()
        .map(|known| known.task.node.as_str())
        .collect();
    let living = living(work, &names).await?;
    let is_left = |node: &String| *node != own && !living.contains(node);
    give(work, tasks, &own, held, is_left)
}

/// See [`wpk_api::TaskStore::hand_over`].
pub(crate) async fn hand_over(
    work: &mut Work<'_>,
    tasks: &[TaskId],
    to: &str,
) -> Result<Vec<TaskId>, Fault> {
    let Some(own) = work.node().map(str::to_owned) else {
        return Ok(Vec::new());
    };
    if own == to || living(work, &[to]).await?.is_empty() {
        return Ok(Vec::new());
    }
    let held = hold(work, tasks).await?;
    let given = give(work, tasks, to, held, |node| *node == own)?;
    if !given.is_empty() {
        listen::tell(work, [to].into_iter()).await?;
    }
    Ok(given)
}

/// Gives those that are live, ours and not begun, of nodes that `from` names, to a node.
fn give(
    work: &mut Work<'_>,
    tasks: &[TaskId],
    to: &str,
    mut held: std::collections::HashMap<TaskId, crate::rows::Known>,
    from: impl Fn(&String) -> bool,
) -> Result<Vec<TaskId>, Fault> {
    let mut given = Vec::new();
    for id in tasks {
        let may = |known: &crate::rows::Known| {
            known.ordered && known.begun.is_none() && from(&known.task.node)
        };
        if !held.get(id).is_some_and(may) {
            continue;
        }
        let Some(mut known) = held.remove(id) else {
            continue;
        };
        let before = std::mem::replace(&mut known.task.node, to.to_owned());
        known.claimed = None;
        work.pending.change(known);
        note(work, *id, &TimelineEntry::moved(work.now, &before, to))?;
        given.push(*id);
    }
    Ok(given)
}
