//! What was made for documents, task by task: what is known of it, and what its document's
//! owner changes.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{
    Attempt, AttemptChange, AttemptWrite, Guard, Status, Task, TaskId, TimelineEntry, UnixTime,
};

use crate::documents::{self, unsigned};
use crate::fault::Fault;
use crate::read::{self, columns};
use crate::statement::prepared;
use crate::{entries, feed, moves, timeline};

/// Fences `f` with their tasks, in the order of [`attempt`].
macro_rules! attempts {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", f.KEY, f.EPOCH, o.INSTALLER_BEGUN, o.TARGET, f.OPENS, f.CLOSES, f.STAGED, f.MARK \
             FROM WPKD_FENCES f CROSS JOIN TASKS t ON t.TASK_ID = f.TASK_ID \
             LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID \
             WHERE t.AGENT_ID BETWEEN 0 AND 2147483647 AND "
        )
    };
}

pub(crate) const ATTEMPTS: &str = concat!(
    attempts!(),
    "f.KEY = ?1 AND f.TASK_ID > ?2 ORDER BY f.TASK_ID LIMIT ?3"
);

pub(crate) const ATTEMPT: &str = concat!(attempts!(), "f.TASK_ID = ?1");

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let begun_at: Option<UnixTime> = row.get(12)?;
    Ok(Attempt {
        task: read::task(row)?,
        key: row.get(10)?,
        epoch: unsigned(row, 11)?,
        begun: begun_at.is_some(),
        begun_at,
        target: read::version(read::text(row.get_ref(13)?)),
        opens: row.get(14)?,
        closes: row.get(15)?,
        staged: row.get(16)?,
        mark: row.get(17)?,
    })
}

/// See [`wpk_api::TaskStore::attempts`].
pub(crate) fn after(
    connection: &Connection,
    key: &str,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Attempt>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, ATTEMPTS)?;
    let rows = statement.query_map(params![key, after.0, limit], attempt)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`wpk_api::TaskStore::attempts_of`].
pub(crate) fn of(connection: &Connection, tasks: &[TaskId]) -> Result<Vec<Option<Attempt>>, Fault> {
    tasks.iter().map(|task| one(connection, *task)).collect()
}

fn one(connection: &Connection, task: TaskId) -> Result<Option<Attempt>, Fault> {
    let found = prepared(connection, ATTEMPT)?.query_row([task.0], attempt);
    Ok(found.optional()?)
}

/// See [`wpk_api::TaskStore::write_attempts`].
pub(crate) fn write(
    connection: &Connection,
    writes: &[AttemptWrite],
    guard: Option<&Guard>,
) -> Result<Option<u64>, Fault> {
    if let Some(guard) = guard
        && !documents::holds(connection, guard)?
    {
        return Ok(None);
    }
    let mut applied = 0;
    for write in writes {
        applied += u64::from(change(connection, write)?);
    }
    Ok(Some(applied))
}

/// Whether it applied.
fn change(connection: &Connection, write: &AttemptWrite) -> Result<bool, Fault> {
    let Some(attempt) = one(connection, write.task)? else {
        return Ok(false);
    };
    if !write.change.is_open(&attempt.task.status, attempt.begun) {
        return Ok(false);
    }
    let id = write.task.0;
    match &write.change {
        AttemptChange::Open { opens, closes } => {
            let sql = "UPDATE WPKD_FENCES SET OPENS = ?2, CLOSES = ?3 WHERE TASK_ID = ?1";
            prepared(connection, sql)?.execute(params![id, opens, closes])?;
        }
        AttemptChange::Staged(staged) => {
            let sql = "UPDATE WPKD_FENCES SET STAGED = ?2 WHERE TASK_ID = ?1";
            prepared(connection, sql)?.execute(params![id, staged])?;
        }
        AttemptChange::Mark(mark) => {
            let sql = "UPDATE WPKD_FENCES SET MARK = ?2 WHERE TASK_ID = ?1";
            prepared(connection, sql)?.execute(params![id, mark])?;
            return Ok(true);
        }
        AttemptChange::Cancel(words) => {
            cancel(connection, attempt, words)?;
            return Ok(true);
        }
    }
    feed::changed(connection, write.task)?;
    Ok(true)
}

fn cancel(connection: &Connection, attempt: Attempt, words: &str) -> Result<(), Fault> {
    let now = entries::now();
    let task = Task {
        status: Status::Cancelled,
        updated: Some(now),
        ..attempt.task
    };
    moves::set(connection, &task)?;
    let entry = TimelineEntry::taken_back(now, &attempt.key, words);
    timeline::add(connection, task.id, &entry)
}
