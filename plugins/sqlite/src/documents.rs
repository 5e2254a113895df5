//! Documents, and which tasks were made for them. What a new epoch ends is in `fenced`.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wpk_api::{
    Document, DocumentWrite, Fence, Guard, LONGEST_DOCUMENT, LONGEST_KEY, LONGEST_MARK,
    NewDocument, TaskId, UnixTime,
};

use crate::fault::Fault;
use crate::statement::prepared;

/// Keys that begin with `?1`, by their bytes: no pattern, in which some letters mean more.
const AFTER: &str = "SELECT KEY, VERSION, EPOCH, KEEPS_TASKS, TEXT FROM WPKD_DOCUMENTS \
    WHERE KEY > ?2 AND KEY >= ?1 AND substr(KEY, 1, length(?1)) = ?1 ORDER BY KEY LIMIT ?3";

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
pub(crate) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
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

/// Whether a task may be begun at a time.
pub(crate) fn lets_begin(
    connection: &Connection,
    fence: &Fence,
    now: UnixTime,
) -> Result<bool, Fault> {
    let open = fence.closes.is_none_or(|closes| now < closes);
    Ok(open && lets_through(connection, fence)?)
}

/// Whether a task may be made.
pub(crate) fn lets_through(connection: &Connection, fence: &Fence) -> Result<bool, Fault> {
    let found = state(connection, &fence.key)?;
    let sized = fence.mark.len() <= LONGEST_MARK;
    Ok(sized && found.is_some_and(|(_, epoch)| epoch == fence.epoch))
}

/// Remembers for which document a task was made.
pub(crate) fn made_for(connection: &Connection, id: TaskId, fence: &Fence) -> Result<(), Fault> {
    prepared(
        connection,
        "INSERT OR REPLACE INTO WPKD_FENCES (TASK_ID, KEY, EPOCH, OPENS, CLOSES, STAGED, MARK) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
    )?
    .execute(params![
        id.0,
        fence.key,
        fence.epoch.cast_signed(),
        fence.opens,
        fence.closes,
        fence.mark
    ])?;
    Ok(())
}

/// For which document a task was made.
pub(crate) fn fence_of(connection: &Connection, id: TaskId) -> Result<Option<Fence>, Fault> {
    let sql = "SELECT KEY, EPOCH, OPENS, CLOSES, MARK FROM WPKD_FENCES WHERE TASK_ID = ?1";
    let fence = |row: &Row<'_>| {
        Ok(Fence {
            key: row.get(0)?,
            epoch: unsigned(row, 1)?,
            opens: row.get(2)?,
            closes: row.get(3)?,
            mark: row.get(4)?,
        })
    };
    let found = prepared(connection, sql)?.query_row([id.0], fence);
    Ok(found.optional()?)
}

/// Writes documents one after the other; on `None` the caller takes back what was
/// written.
pub(crate) fn write_each(
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
