//! What was made for documents, task by task: what is known of it, and what its document's
//! owner changes.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{
    Attempt, AttemptChange, AttemptWrite, Guard, Status, TaskId, TimelineEntry, UnixTime,
};

use crate::documents::{self, epoch};
use crate::fault::Fault;
use crate::listen;
use crate::pool::Sql;
use crate::rows::{Known, all, columns, known, numbers, task_at};
use crate::work::Work;

/// What is known of an attempt `t`, in the order of [`attempt`].
macro_rules! attempts {
    () => {
        concat!(
            "t.fence_key, t.fence_epoch, t.begun, t.target, t.fence_opens, t.fence_closes, \
             t.fence_staged, t.fence_mark, ",
            columns!()
        )
    };
}

/// See [`wpk_api::TaskStore::attempts`].
pub(crate) static ATTEMPTS: Sql = Sql {
    text: concat!(
        "SELECT ",
        attempts!(),
        " FROM @tasks t WHERE t.fence_key = $1 AND t.id > $2 ORDER BY t.id LIMIT $3"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// See [`wpk_api::TaskStore::attempts_of`].
pub(crate) static ATTEMPTS_OF: Sql = Sql {
    text: concat!(
        "SELECT u.at, ",
        attempts!(),
        " FROM unnest($1::int8[]) WITH ORDINALITY u(id, at) JOIN @tasks t ON t.id = u.id \
         WHERE t.fence_key IS NOT NULL"
    ),
    types: &[Type::INT8_ARRAY],
};

/// Always in this order, so that no two calls wait for each other.
static HOLD: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        ", t.fence_key, t.fence_opens, t.fence_staged, t.fence_mark FROM @tasks t \
         WHERE t.id = ANY ($1) AND t.fence_key IS NOT NULL ORDER BY t.id FOR UPDATE"
    ),
    types: &[Type::INT8_ARRAY],
};

static WRITE: Sql = Sql {
    text: "UPDATE @tasks t SET fence_opens = u.opens, fence_closes = u.closes, \
               fence_staged = u.staged, fence_mark = u.mark \
           FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::bool[], $5::text[]) \
               u(id, opens, closes, staged, mark) WHERE t.id = u.id",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// An attempt, from a row in which it begins there.
fn attempt(row: &Row, first: usize) -> Result<Attempt, Fault> {
    let begun_at: Option<UnixTime> = row.try_get(first + 2)?;
    let target: Option<&str> = row.try_get(first + 3)?;
    let opens: Option<UnixTime> = row.try_get(first + 4)?;
    Ok(Attempt {
        key: row.try_get(first)?,
        epoch: epoch(row.try_get(first + 1)?),
        begun: begun_at.is_some(),
        begun_at,
        target: target.and_then(|target| target.parse().ok()),
        opens: opens.unwrap_or_default(),
        closes: row.try_get(first + 5)?,
        staged: row.try_get(first + 6)?,
        mark: row.try_get(first + 7)?,
        task: task_at(row, first + 8)?,
    })
}

/// Those of [`ATTEMPTS`].
pub(crate) fn found(rows: &[Row]) -> Result<Vec<Attempt>, Fault> {
    rows.iter().map(|row| attempt(row, 0)).collect()
}

/// Those of [`ATTEMPTS_OF`], at the places at which they were asked for.
pub(crate) fn placed(rows: &[Row], asked: usize) -> Result<Vec<Option<Attempt>>, Fault> {
    let mut found = vec![None; asked];
    for row in rows {
        let at: i64 = row.try_get(0)?;
        let place = usize::try_from(at - 1).ok();
        if let Some(place) = place.and_then(|at| found.get_mut(at)) {
            *place = Some(attempt(row, 1)?);
        }
    }
    Ok(found)
}

/// An attempt that nobody else changes until the call ends.
struct Held {
    known: Known,
    key: String,
    opens: UnixTime,
    staged: bool,
    mark: String,
    /// Its fence is to be written.
    changed: bool,
}

async fn hold(
    work: &mut Work<'_>,
    writes: &[AttemptWrite],
) -> Result<HashMap<TaskId, Held>, Fault> {
    let mut tasks: Vec<TaskId> = writes.iter().map(|write| write.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut held = HashMap::with_capacity(tasks.len());
    for row in work.ask(&HOLD, &[&numbers(&tasks)]).await? {
        let known = known(&row)?;
        let opens: Option<UnixTime> = row.try_get(22)?;
        let one = Held {
            key: row.try_get(21)?,
            opens: opens.unwrap_or_default(),
            staged: row.try_get(23)?,
            mark: row.try_get(24)?,
            changed: false,
            known,
        };
        held.insert(one.known.task.id, one);
    }
    Ok(held)
}

/// See [`wpk_api::TaskStore::write_attempts`]; `None`: the guard does not hold.
pub(crate) async fn write(
    work: &mut Work<'_>,
    writes: &[AttemptWrite],
    guard: Option<&Guard>,
) -> Result<Option<u64>, Fault> {
    if let Some(guard) = guard
        && !documents::holds(work, guard).await?
    {
        return Ok(None);
    }
    if writes.is_empty() {
        return Ok(Some(0));
    }
    let mut held = hold(work, writes).await?;
    let (mut applied, mut opened) = (0, Vec::new());
    for write in writes {
        let Some(one) = held.get_mut(&write.task) else {
            continue;
        };
        let status = &one.known.task.status;
        if !write.change.is_open(status, one.known.begun.is_some()) {
            continue;
        }
        if let AttemptChange::Open { .. } = write.change {
            opened.push(one.known.task.node.clone());
        }
        change(work, one, &write.change)?;
        applied += 1;
    }
    put(work, held.values().filter(|one| one.changed)).await?;
    listen::tell(work, opened.iter().map(String::as_str)).await?;
    Ok(Some(applied))
}

fn change(work: &mut Work<'_>, one: &mut Held, change: &AttemptChange) -> Result<(), Fault> {
    match change {
        AttemptChange::Open { opens, closes } => {
            (one.opens, one.known.closes) = (*opens, *closes);
        }
        AttemptChange::Staged(staged) => one.staged = *staged,
        AttemptChange::Mark(mark) => {
            keepable(mark)?;
            one.mark.clone_from(mark);
            one.changed = true;
            return Ok(());
        }
        AttemptChange::Cancel(words) => {
            let now = work.now;
            one.known.task.status = Status::Cancelled;
            one.known.task.updated = Some(now);
            one.known.ordered = false;
            work.pending.change(one.known.clone());
            let entry = TimelineEntry::taken_back(now, &one.key, words);
            return work.pending.entry(one.known.task.id, &entry);
        }
    }
    one.changed = true;
    work.pending.tell(one.known.task.clone(), false);
    Ok(())
}

async fn put<'a>(
    work: &mut Work<'_>,
    changed: impl Iterator<Item = &'a Held> + Clone,
) -> Result<(), Fault> {
    let ids: Vec<i64> = changed.clone().map(|one| one.known.task.id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let opens: Vec<UnixTime> = changed.clone().map(|one| one.opens).collect();
    let closes: Vec<Option<UnixTime>> = changed.clone().map(|one| one.known.closes).collect();
    let staged: Vec<bool> = changed.clone().map(|one| one.staged).collect();
    let marks: Vec<&str> = changed.map(|one| one.mark.as_str()).collect();
    let values: crate::pool::Values<'_> = &[&ids, &opens, &closes, &staged, &marks];
    work.ask(&WRITE, values).await?;
    Ok(())
}

/// Whether a mark can be kept as it is.
pub(crate) fn keepable(mark: &str) -> Result<(), Fault> {
    if mark.contains('\0') {
        return Err(Fault::Nonsense(
            "a mark with a NUL cannot be kept; leave it out".to_owned(),
        ));
    }
    Ok(())
}
