//! The tasks that are fenced by documents: what a new epoch ends, and what may be sent.

use rusqlite::{Connection, params};
use wpk_api::{
    Claimed, DocumentWrite, Guard, Standing, Status, TaskId, TimelineEntry, TimelineStep,
};

use crate::documents::{self, unsigned};
use crate::fault::Fault;
use crate::read::{self, columns, live};
use crate::statement::prepared;
use crate::{entries, moves, timeline};

/// What is fenced, waits and was never taken.
pub(crate) const STAGING: &str = concat!(
    "SELECT ",
    columns!(),
    ", o.TASK_ORDER, o.CRASHES FROM WPKD_ORDERS o CROSS JOIN TASKS t ON t.TASK_ID = o.TASK_ID \
     JOIN WPKD_FENCES f ON f.TASK_ID = t.TASK_ID \
     WHERE o.TASK_ID > ?2 AND o.TASK_ORDER IS NOT NULL AND o.CLAIMED IS NULL \
     AND o.INSTALLER_BEGUN IS NULL AND t.STATUS = 'Pending' AND ",
    live!(),
    " AND t.NODE = ?1 ORDER BY o.TASK_ID LIMIT ?3"
);

/// What is fenced by a document and live.
pub(crate) const FENCED: &str = concat!(
    "SELECT ",
    columns!(),
    ", f.EPOCH FROM WPKD_FENCES f CROSS JOIN TASKS t ON t.TASK_ID = f.TASK_ID \
     LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID WHERE f.KEY = ?1 AND ",
    live!(),
    " ORDER BY f.TASK_ID"
);

/// See [`wpk_api::TaskStore::write_documents`].
pub(crate) fn write(
    connection: &Connection,
    writes: &[DocumentWrite],
    guard: Option<&Guard>,
) -> Result<Option<Vec<u64>>, Fault> {
    prepared(connection, "SAVEPOINT documents")?.execute([])?;
    let written = documents::write_each(connection, writes, guard)?;
    if written.is_none() {
        prepared(connection, "ROLLBACK TO documents")?.execute([])?;
    } else {
        for one in writes {
            let epoch = one.becomes.as_ref().map(|new| new.epoch);
            end_before(connection, &one.key, epoch)?;
        }
    }
    prepared(connection, "RELEASE documents")?.execute([])?;
    Ok(written)
}

/// Ends what was made for a document with a lower epoch, or for one that is gone, and
/// whose installer was not begun.
fn end_before(connection: &Connection, key: &str, epoch: Option<u64>) -> Result<(), Fault> {
    let mut fenced = prepared(connection, FENCED)?;
    let rows = fenced.query_map([key], |row| Ok((read::task(row)?, unsigned(row, 10)?)))?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let now = entries::now();
    for (mut task, made) in rows {
        let Standing { begun, .. } = read::standing(connection, task.id)?;
        if begun || epoch.is_some_and(|epoch| made >= epoch) {
            continue;
        }
        task.status = Status::Cancelled;
        task.updated = Some(now);
        moves::set(connection, &task)?;
        let entry = TimelineEntry::new(now, TimelineStep::Cancelled).asked(key);
        timeline::add(connection, task.id, &entry)?;
    }
    Ok(())
}

/// See [`wpk_api::TaskStore::staging`].
pub(crate) fn staging(
    connection: &Connection,
    node: &str,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Claimed>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, STAGING)?;
    let rows = statement.query_map(params![node, after.0, limit], read::claimed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
