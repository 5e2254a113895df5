//! What is kept beside tasks: documents with versions, and epochs that fence the tasks made
//! for them ([`wpk_api::Document`]).
//!
//! Those who write documents come one after the other, so that versions ascend in the order
//! in which they count. Whoever depends on a document holds its row meanwhile, always
//! before the rows of tasks.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use wpk_api::{
    Claimed, Document, DocumentWrite, Guard, LONGEST_DOCUMENT, LONGEST_KEY, LONGEST_MARK,
    NewDocument, NewTask, Status, TaskId, TimelineEntry, TimelineStep,
};

use crate::calls::MANY;
use crate::fault::Fault;
use crate::moves::note;
use crate::pool::Sql;
use crate::rows::{all, claimed, known};
use crate::work::Work;

static TURN: Sql = Sql {
    text: "SELECT 1 FROM @turns WHERE turn = 'write' FOR UPDATE",
    types: &[],
};

static HOLD: Sql = Sql {
    text: "SELECT key, version, epoch FROM @documents WHERE key = ANY ($1) ORDER BY key \
           FOR SHARE",
    types: &[Type::TEXT_ARRAY],
};

static FENCE_OF: Sql = Sql {
    text: "SELECT d.epoch FROM @tasks t JOIN @documents d ON d.key = t.fence_key \
           WHERE t.id = $1 FOR SHARE OF d",
    types: &[Type::INT8],
};

static WRITE: Sql = Sql {
    text: "INSERT INTO @documents AS d (key, version, epoch, keeps_tasks, body) \
           VALUES ($1, nextval('@document_versions'), $2, $3, $4) \
           ON CONFLICT (key) DO UPDATE SET version = excluded.version, \
               epoch = excluded.epoch, keeps_tasks = excluded.keeps_tasks, body = excluded.body \
           RETURNING d.version",
    types: &[Type::TEXT, Type::INT8, Type::BOOL, Type::TEXT],
};

/// Many at once, in their order; none of them raises an epoch.
static WRITE_MANY: Sql = Sql {
    text: "INSERT INTO @documents AS d (key, version, epoch, keeps_tasks, body) \
           SELECT u.key, nextval('@document_versions'), u.epoch, u.keeps, u.body FROM ( \
               SELECT * FROM unnest($1::text[], $2::int8[], $3::bool[], $4::text[]) \
               WITH ORDINALITY AS one(key, epoch, keeps, body, place) ORDER BY place) u \
           ON CONFLICT (key) DO UPDATE SET version = excluded.version, \
               epoch = excluded.epoch, keeps_tasks = excluded.keeps_tasks, body = excluded.body \
           RETURNING d.key, d.version",
    types: &[
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// Its version is that of the deletion, which nobody else gets.
static DELETE: Sql = Sql {
    text: "DELETE FROM @documents WHERE key = $1 RETURNING nextval('@document_versions')",
    types: &[Type::TEXT],
};

static FENCED_OUT: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        " FROM @tasks t WHERE t.fence_key = $1 AND (t.fence_epoch < $2 OR $3) AND t.begun IS NULL \
         AND t.status IN ('Pending', 'In progress') ORDER BY t.id FOR UPDATE"
    ),
    types: &[Type::TEXT, Type::INT8, Type::BOOL],
};

/// See [`wpk_api::TaskStore::documents`].
pub(crate) static DOCUMENTS: Sql = Sql {
    text: "SELECT key, version, epoch, keeps_tasks, body FROM @documents \
           WHERE key >= $1 AND key > $2 AND starts_with(key, $1) ORDER BY key LIMIT $3",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

/// See [`wpk_api::TaskStore::documents_since`].
pub(crate) static SINCE: Sql = Sql {
    text: "SELECT key, version, epoch, keeps_tasks, body FROM @documents \
           WHERE version > $2 AND starts_with(key, $1) ORDER BY version LIMIT $3",
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// See [`wpk_api::TaskStore::staging`].
pub(crate) static STAGING: Sql = Sql {
    text: concat!(
        "SELECT ",
        all!(),
        ", t.task_order FROM @tasks t WHERE t.node = $1 AND t.id > $2 AND t.task_order IS NOT NULL \
         AND t.claimed IS NULL AND t.begun IS NULL AND t.fence_key IS NOT NULL \
         AND t.status = 'Pending' ORDER BY t.id LIMIT $3"
    ),
    types: &[Type::TEXT, Type::INT8, Type::INT8],
};

/// Version and epoch of documents that are there.
type Held = HashMap<String, (u64, u64)>;

/// A document, from a row of [`DOCUMENTS`] or [`SINCE`].
pub(crate) fn document(row: &Row) -> Result<Document, Fault> {
    Ok(Document {
        key: row.try_get(0)?,
        version: row.try_get::<_, i64>(1)?.unsigned_abs(),
        epoch: epoch(row.try_get(2)?),
        keeps_tasks: row.try_get(3)?,
        text: row.try_get(4)?,
    })
}

/// What may be sent, from a row of [`STAGING`].
pub(crate) fn staged(row: &Row) -> Result<Claimed, Fault> {
    Ok(claimed(&known(row)?, row.try_get(21)?))
}

/// Documents that nobody writes until the call ends.
async fn hold(work: &mut Work<'_>, keys: &[&str]) -> Result<Held, Fault> {
    if keys.is_empty() {
        return Ok(Held::new());
    }
    let mut held = Held::new();
    for row in work.ask(&HOLD, &[&keys]).await? {
        let (version, number): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        held.insert(row.try_get(0)?, (version.unsigned_abs(), epoch(number)));
    }
    Ok(held)
}

/// Whether a guard holds, and goes on doing so until the call ends.
pub(crate) async fn holds(work: &mut Work<'_>, guard: &Guard) -> Result<bool, Fault> {
    let held = hold(work, &[guard.key.as_str()]).await?;
    Ok(held
        .get(&guard.key)
        .is_some_and(|(version, _)| *version == guard.version))
}

/// Of these new tasks, which are not fenced out: `true`.
pub(crate) async fn open(work: &mut Work<'_>, new: &[NewTask]) -> Result<Vec<bool>, Fault> {
    let fences = new.iter().filter_map(|task| task.fence.as_deref());
    let mut keys: Vec<&str> = fences.map(|fence| fence.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let held = hold(work, &keys).await?;
    let open = |task: &NewTask| match &task.fence {
        Some(fence) => {
            let there = held.get(&fence.key);
            there.is_some_and(|(_, epoch)| *epoch == fence.epoch)
                && fence.mark.len() <= LONGEST_MARK
        }
        None => true,
    };
    Ok(new.iter().map(open).collect())
}

/// The epoch that the document of a task's fence has now; asked before the task is held.
pub(crate) async fn epoch_of(work: &mut Work<'_>, task: TaskId) -> Result<Option<i64>, Fault> {
    let rows = work.ask(&FENCE_OF, &[&task.0]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// See [`wpk_api::TaskStore::write_documents`]; `None`: nothing may be written, and what
/// was so far must not be committed.
pub(crate) async fn write(
    work: &mut Work<'_>,
    writes: &[DocumentWrite],
    guard: Option<&Guard>,
) -> Result<Option<Vec<u64>>, Fault> {
    work.ask(&TURN, &[]).await?;
    let named = writes.iter().map(|write| write.key.as_str());
    let keys: Vec<&str> = named.chain(guard.map(|guard| guard.key.as_str())).collect();
    let mut held = hold(work, &keys).await?;
    if let Some(guard) = guard
        && held
            .get(&guard.key)
            .is_none_or(|(version, _)| *version != guard.version)
    {
        return Ok(None);
    }
    if let Some(new) = plain(writes, &held) {
        return put_all(work, &new).await;
    }
    let mut versions = Vec::with_capacity(writes.len());
    for write in writes {
        let found = held.get(&write.key).copied();
        if !fits(write, found) {
            return Ok(None);
        }
        let version = match &write.becomes {
            Some(new) => put(work, &write.key, new).await?,
            None => delete(work, &write.key).await?,
        };
        let below = write.becomes.as_ref().map(|new| new.epoch);
        if found.is_some_and(|(_, epoch)| below.is_none_or(|below| epoch < below)) {
            end_fenced(work, &write.key, below).await?;
        }
        match &write.becomes {
            Some(new) => held.insert(write.key.clone(), (version, new.epoch)),
            None => held.remove(&write.key),
        };
        versions.push(version);
    }
    Ok(Some(versions))
}

/// Whether a writing is one, and finds what it expects.
fn fits(write: &DocumentWrite, found: Option<(u64, u64)>) -> bool {
    let sized = |new: &NewDocument| new.text.len() <= LONGEST_DOCUMENT;
    let raised = |new: &NewDocument| found.is_none_or(|(_, epoch)| new.epoch >= epoch);
    (1..=LONGEST_KEY).contains(&write.key.len())
        && write.expected == found.map(|(version, _)| version)
        && (write.becomes.as_ref()).is_none_or(|new| sized(new) && raised(new))
}

/// How many rows writings may be about: those that may raise an epoch, or delete, may end any
/// number of tasks.
pub(crate) fn rows(writes: &[DocumentWrite]) -> usize {
    let fences = |write: &DocumentWrite| write.becomes.as_ref().is_none_or(|new| new.epoch > 0);
    match writes.iter().any(fences) {
        true => MANY,
        false => writes.len(),
    }
}

/// Writings that may all be, are about a document each, and end no task: what a list of
/// agents brings, by the hundred.
fn plain<'a>(writes: &'a [DocumentWrite], held: &Held) -> Option<Vec<(&'a str, &'a NewDocument)>> {
    let mut keys = HashSet::new();
    let new = writes.iter().map(|write| {
        let new = write.becomes.as_ref()?;
        let found = held.get(&write.key).copied();
        let ends_none = found.is_none_or(|(_, epoch)| epoch == new.epoch);
        let once = keys.insert(write.key.as_str());
        (fits(write, found) && ends_none && once).then_some((write.key.as_str(), new))
    });
    new.collect()
}

async fn put_all(
    work: &mut Work<'_>,
    new: &[(&str, &NewDocument)],
) -> Result<Option<Vec<u64>>, Fault> {
    for (key, new) in new {
        without_nul(key, new)?;
    }
    let keys: Vec<&str> = new.iter().map(|(key, _)| *key).collect();
    let epochs: Vec<i64> = new.iter().map(|(_, new)| number(new.epoch)).collect();
    let keeps: Vec<bool> = new.iter().map(|(_, new)| new.keeps_tasks).collect();
    let texts: Vec<&str> = new.iter().map(|(_, new)| new.text.as_str()).collect();
    let rows = work
        .ask(&WRITE_MANY, &[&keys, &epochs, &keeps, &texts])
        .await?;
    let mut versions = HashMap::new();
    for row in &rows {
        let (key, version): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        versions.insert(key, version.unsigned_abs());
    }
    let versions = keys.iter().map(|key| versions.get(key).copied());
    match versions.collect() {
        Some(versions) => Ok(Some(versions)),
        None => Err(Fault::Nonsense("a document was not stored".to_owned())),
    }
}

fn without_nul(key: &str, new: &NewDocument) -> Result<(), Fault> {
    match key.contains('\0') || new.text.contains('\0') {
        false => Ok(()),
        true => Err(Fault::Nonsense(
            "a document with a NUL cannot be kept; leave it out".to_owned(),
        )),
    }
}

async fn put(work: &mut Work<'_>, key: &str, new: &NewDocument) -> Result<u64, Fault> {
    without_nul(key, new)?;
    let epoch = number(new.epoch);
    let rows = work
        .ask(&WRITE, &[&key, &epoch, &new.keeps_tasks, &new.text])
        .await?;
    version(&rows)
}

async fn delete(work: &mut Work<'_>, key: &str) -> Result<u64, Fault> {
    let rows = work.ask(&DELETE, &[&key]).await?;
    // One that was not there is not deleted, and nothing changes.
    if rows.is_empty() {
        Ok(0)
    } else {
        version(&rows)
    }
}

fn version(rows: &[Row]) -> Result<u64, Fault> {
    match rows.first() {
        Some(row) => Ok(row.try_get::<_, i64>(0)?.unsigned_abs()),
        None => Err(Fault::Nonsense("a document was not stored".to_owned())),
    }
}

/// Ends what was made with a lower epoch, or with any (`None`), and has not begun, whoever
/// carries it out.
async fn end_fenced(work: &mut Work<'_>, key: &str, below: Option<u64>) -> Result<(), Fault> {
    let now = work.now;
    let (until, all) = (below.map_or(i64::MAX, number), below.is_none());
    for row in work.ask(&FENCED_OUT, &[&key, &until, &all]).await? {
        let mut known = known(&row)?;
        known.task.status = Status::Cancelled;
        known.task.updated = Some(now);
        known.ordered = false;
        let id = known.task.id;
        work.pending.change(known);
        note(work, id, &TimelineEntry::new(now, TimelineStep::Cancelled))?;
    }
    Ok(())
}

/// An epoch as the database keeps it: its numbers have a sign, so that 0 is the lowest of
/// them. The order stays.
pub(crate) fn number(epoch: u64) -> i64 {
    (epoch ^ (1 << 63)).cast_signed()
}

/// The epoch that it is.
pub(crate) fn epoch(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}
