//! Documents, and the tasks that are fenced by them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{
    Attempt, Document, DocumentWrite, Fence, Guard, LONGEST_DOCUMENT, LONGEST_KEY, NewDocument,
    Standing, Status, TaskId, TimelineEntry, TimelineStep,
};

use crate::fault::Fault;
use crate::read::{self, columns, live};
use crate::statement::prepared;
use crate::{entries, moves, timeline};

/// Keys that begin with `?1`, by their bytes: no pattern, in which some letters mean more.
const AFTER: &str = "SELECT KEY, VERSION, EPOCH, KEEPS_TASKS, TEXT FROM WPKD_DOCUMENTS \
    WHERE KEY > ?2 AND KEY >= ?1 AND substr(KEY, 1, length(?1)) = ?1 ORDER BY KEY LIMIT ?3";

pub(crate) const ATTEMPTS: &str = concat!(
    "SELECT ",
    columns!(),
    ", f.EPOCH, o.INSTALLER_BEGUN IS NOT NULL, o.TARGET FROM WPKD_FENCES f \
     CROSS JOIN TASKS t ON t.TASK_ID = f.TASK_ID \
     LEFT JOIN WPKD_ORDERS o ON o.TASK_ID = t.TASK_ID \
     WHERE f.KEY = ?1 AND f.TASK_ID > ?2 AND t.AGENT_ID BETWEEN 0 AND 2147483647 \
     ORDER BY f.TASK_ID LIMIT ?3"
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

/// See [`wpk_api::TaskStore::documents`].
pub(crate) fn after(
    connection: &Connection,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Document>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, AFTER)?;
    let rows = statement.query_map(params![prefix, after, limit], document)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Numbers of 64 bits are kept by their bits.
fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.cast_unsigned())
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        key: row.get(0)?,
        version: unsigned(row, 1)?,
        epoch: unsigned(row, 2)?,
        keeps_tasks: row.get(3)?,
        text: row.get(4)?,
    })
}

/// The version and the epoch of a document.
fn state(connection: &Connection, key: &str) -> Result<Option<(u64, u64)>, Fault> {
    let sql = "SELECT VERSION, EPOCH FROM WPKD_DOCUMENTS WHERE KEY = ?1";
    let state = |row: &Row<'_>| Ok((unsigned(row, 0)?, unsigned(row, 1)?));
    let found = prepared(connection, sql)?.query_row([key], state);
    Ok(found.optional()?)
}

/// Whether a guard holds.
pub(crate) fn holds(connection: &Connection, guard: &Guard) -> Result<bool, Fault> {
    let found = state(connection, &guard.key)?;
    Ok(found.is_some_and(|(version, _)| version == guard.version))
}

/// Whether a task may be made, or begun.
pub(crate) fn lets_through(connection: &Connection, fence: &Fence) -> Result<bool, Fault> {
    let found = state(connection, &fence.key)?;
    Ok(found.is_some_and(|(_, epoch)| epoch == fence.epoch))
}

/// Remembers for which document a task was made.
pub(crate) fn made_for(connection: &Connection, id: TaskId, fence: &Fence) -> Result<(), Fault> {
    prepared(
        connection,
        "INSERT OR REPLACE INTO WPKD_FENCES (TASK_ID, KEY, EPOCH) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![id.0, fence.key, fence.epoch.cast_signed()])?;
    Ok(())
}

/// For which document a task was made.
pub(crate) fn fence_of(connection: &Connection, id: TaskId) -> Result<Option<Fence>, Fault> {
    let sql = "SELECT KEY, EPOCH FROM WPKD_FENCES WHERE TASK_ID = ?1";
    let fence = |row: &Row<'_>| {
        Ok(Fence {
            key: row.get(0)?,
            epoch: unsigned(row, 1)?,
        })
    };
    let found = prepared(connection, sql)?.query_row([id.0], fence);
    Ok(found.optional()?)
}

/// See [`wpk_api::TaskStore::write_documents`].
pub(crate) fn write(
    connection: &Connection,
    writes: &[DocumentWrite],
    guard: Option<&Guard>,
) -> Result<Option<Vec<u64>>, Fault> {
    prepared(connection, "SAVEPOINT documents")?.execute([])?;
    let written = write_each(connection, writes, guard)?;
    if written.is_none() {
        prepared(connection, "ROLLBACK TO documents")?.execute([])?;
    }
    prepared(connection, "RELEASE documents")?.execute([])?;
    Ok(written)
}

fn write_each(
    connection: &Connection,
    writes: &[DocumentWrite],
    guard: Option<&Guard>,
) -> Result<Option<Vec<u64>>, Fault> {
    if let Some(guard) = guard
        && !holds(connection, guard)?
    {
        return Ok(None);
    }
    let mut versions = Vec::with_capacity(writes.len());
    for one in writes {
        let now = state(connection, &one.key)?;
        if !is_open(one, now) {
            return Ok(None);
        }
        let version = next_version(connection)?;
        match &one.becomes {
            Some(new) => put(connection, &one.key, version, new)?,
            None => {
                prepared(connection, "DELETE FROM WPKD_DOCUMENTS WHERE KEY = ?1")?
                    .execute([&one.key])?;
            }
        }
        versions.push(version);
    }
    for one in writes {
        let epoch = one.becomes.as_ref().map(|new| new.epoch);
        end_before(connection, &one.key, epoch)?;
    }
    Ok(Some(versions))
}

fn is_open(one: &DocumentWrite, now: Option<(u64, u64)>) -> bool {
    let epoch = now.map_or(0, |(_, epoch)| epoch);
    let fits = |new: &NewDocument| new.epoch >= epoch && new.text.len() <= LONGEST_DOCUMENT;
    now.map(|(version, _)| version) == one.expected
        && (1..=LONGEST_KEY).contains(&one.key.len())
        && one.becomes.as_ref().is_none_or(fits)
}

fn next_version(connection: &Connection) -> Result<u64, Fault> {
    let next: i64 = prepared(
        connection,
        "INSERT INTO WPKD_METADATA (key, value) VALUES ('document_version', '1') \
         ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1 \
         RETURNING CAST(value AS INTEGER)",
    )?
    .query_row([], |row| row.get(0))?;
    Ok(next.cast_unsigned())
}

fn put(connection: &Connection, key: &str, version: u64, new: &NewDocument) -> Result<(), Fault> {
    prepared(
        connection,
        "INSERT INTO WPKD_DOCUMENTS (KEY, VERSION, EPOCH, KEEPS_TASKS, TEXT) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (KEY) DO UPDATE SET \
         VERSION = excluded.VERSION, EPOCH = excluded.EPOCH, \
         KEEPS_TASKS = excluded.KEEPS_TASKS, TEXT = excluded.TEXT",
    )?
    .execute(params![
        key,
        version.cast_signed(),
        new.epoch.cast_signed(),
        new.keeps_tasks,
        new.text,
    ])?;
    Ok(())
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

/// See [`wpk_api::TaskStore::attempts`].
pub(crate) fn attempts(
    connection: &Connection,
    key: &str,
    after: TaskId,
    limit: usize,
) -> Result<Vec<Attempt>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = prepared(connection, ATTEMPTS)?;
    let rows = statement.query_map(params![key, after.0, limit], |row| {
        Ok(Attempt {
            task: read::task(row)?,
            epoch: unsigned(row, 10)?,
            begun: row.get(11)?,
            target: read::version(read::text(row.get_ref(12)?)),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
