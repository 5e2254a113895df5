//! The calls that are more than one transaction, or another one than most.

use std::time::Duration;

use wpk_api::{Claimed, Entrance, Entry, StoreResult, TaskId, TaskPlace, UnixTime};

use crate::database::{Database, write};
use crate::fault::Fault;
use crate::work::Own;
use crate::{ends, entries, moves, read};

/// Tasks that a call may write which names none.
pub(crate) const MANY: usize = 30_000;

/// See [`wpk_api::TaskStore::enter`].
pub(crate) async fn enter(
    database: &Database,
    entry: &Entry,
    lease: Duration,
) -> StoreResult<Entrance> {
    let mut attempts = database.attempts(0);
    loop {
        let outcome = async {
            let mut work = database.begin_as(None, &attempts).await?;
            let entrance = entries::enter(&mut work, entry, lease).await?;
            match &entrance {
                Entrance::Entered(_) => work.commit().await?,
                Entrance::Held(_) => work.abandon().await?,
            }
            Ok::<_, Fault>(entrance)
        };
        match outcome.await {
            Ok(entrance) => {
                if let Entrance::Entered(entered) = &entrance {
                    database.entered(Own {
                        node: entry.node.clone(),
                        incarnation: entered.incarnation,
                    });
                }
                return Ok(entrance);
            }
            Err(fault) if attempts.again(&fault).await => {}
            Err(fault) => return Err(fault.into_error()),
        }
    }
}

/// See [`wpk_api::TaskStore::claim`].
pub(crate) async fn claim(
    database: &Database,
    node: &str,
    limit: usize,
    now: UnixTime,
) -> StoreResult<Vec<Claimed>> {
    let rows = limit.min(MANY);
    let mut taken = write!(database, rows, |work| {
        moves::claim(&mut work, node, limit, now, false)
    })?;
    if taken.more {
        // In a transaction of its own, which holds nothing while it waits.
        let left = limit - taken.tasks.len();
        let held = write!(database, rows, |work| {
            moves::claim(&mut work, node, left, now, true)
        });
        match held {
            Ok(held) => taken.tasks.extend(held.tasks),
            Err(error) if taken.tasks.is_empty() => return Err(error),
            // What was taken is taken; the rest goes on waiting.
            Err(_) => {}
        }
        taken.tasks.sort_by_key(|one| one.task.id);
    }
    Ok(taken.tasks)
}

/// See [`wpk_api::TaskStore::purge`]: in rounds, so that nobody waits for all of it.
pub(crate) async fn purge(database: &Database, created_until: UnixTime) -> StoreResult<u64> {
    let mut deleted = 0;
    let mut after = TaskPlace {
        created: UnixTime::MIN,
        task: TaskId(i64::MIN),
    };
    loop {
        let round = write!(database, MANY, |work| {
            ends::purge(&mut work, after, created_until)
        });
        match round {
            Ok(Some((count, last))) => {
                deleted += count;
                after = last;
            }
            Ok(None) => break,
            // What is deleted is; the rest is for the next time.
            Err(error) if deleted > 0 => {
                tracing::warn!(%error, deleted, "not all old tasks could be deleted");
                return Ok(deleted);
            }
            Err(error) => return Err(error),
        }
    }
    // Only tidies up: whatever keeps it from that is met by the next call as well.
    let tidied = async {
        // What nobody ever read has no number by which it could be passed.
        number_changes(database).await?;
        write!(database, MANY, |work| ends::forget(&mut work))
    };
    if let Err(error) = tidied.await {
        tracing::debug!(%error, "what is read of deleted tasks stays until the next purge");
    }
    Ok(deleted)
}

/// Gives every change that was committed its revision: some at a time, each time a
/// transaction of its own, so that no reader of the feed waits for long.
pub(crate) async fn number_changes(database: &Database) -> StoreResult<()> {
    while number(database).await? {}
    Ok(())
}

/// The same for a few of them, with each renewal of a lease: where nobody reads the feed for
/// weeks, the first who does would wait a minute for three millions of them.
pub(crate) async fn number_some(database: &Database) {
    if let Err(error) = number(database).await {
        tracing::debug!(%error, "changes are numbered when somebody reads them");
    }
}

/// Whether there may be more.
async fn number(database: &Database) -> StoreResult<bool> {
    let rows = database.ask(&read::NUMBER, &[]).await?;
    let more = rows.first().map(|row| row.try_get(0)).transpose();
    let more: Option<bool> = more.map_err(|error| Fault::from(error).into_error())?;
    Ok(more.unwrap_or(false))
}
