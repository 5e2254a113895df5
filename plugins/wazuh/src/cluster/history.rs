//! What a worker remembers of its tasks for those who look: timelines and the
//! changes it saw. The master has no place for them, so they lie in our own file,
//! for the tasks of this node alone.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wpk_api::{
    Change, Changed, LONGEST_TIMELINE, Revision, StoreError, Task, TaskId, TimelineEntry,
};

use super::local::Local;

/// The most changes that are kept; a reader that is further behind misses some.
const LONGEST_FEED: i64 = 100_000;

pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// What a later version wrote and this one cannot read is left out.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

impl Local {
    /// See [`wpk_api::TaskStore::note`].
    pub(super) async fn note(
        &self,
        entries: Vec<(TaskId, TimelineEntry)>,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            entries
                .iter()
                .try_for_each(|(id, entry)| add(connection, *id, entry))
        })
        .await
    }

    /// See [`wpk_api::TaskStore::timeline`].
    pub(super) async fn timeline(&self, task: TaskId) -> Result<Vec<TimelineEntry>, StoreError> {
        self.run(move |connection| of(connection, task)).await
    }

    /// Those of the tasks that were seen to end here, as they ended.
    pub(super) async fn ended_before(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, StoreError> {
        self.run(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT TASK FROM WORKER_ENDED WHERE TASK_ID = ?1")?;
            let mut tasks = Vec::new();
            for id in ids {
                let found: Option<String> =
                    statement.query_row([id.0], |row| row.get(0)).optional()?;
                tasks.extend(found.and_then(|found| read::<Task>(&found)));
            }
            Ok(tasks)
        })
        .await
    }

    /// Remembers tasks as they are now.
    pub(super) async fn saw(&self, tasks: Vec<Task>) -> Result<(), StoreError> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.run(move |connection| {
            for task in &tasks {
                tell(connection, task)?;
            }
            connection
                .prepare_cached(
                    "DELETE FROM WORKER_CHANGES WHERE REVISION <= \
                         (SELECT max(REVISION) FROM WORKER_CHANGES) - ?1",
                )?
                .execute([LONGEST_FEED])?;
            Ok(())
        })
        .await
    }

    /// See [`wpk_api::TaskStore::changes`].
    pub(super) async fn changes(
        &self,
        after: Revision,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT REVISION, CHANGED FROM WORKER_CHANGES WHERE REVISION > ?1 \
                 ORDER BY REVISION LIMIT ?2",
            )?;
            let rows = statement.query_map(params![after, limit], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
            let mut changes = Vec::new();
            for row in rows {
                let (revision, changed) = row?;
                let revision = Revision(revision.unsigned_abs());
                changes.extend(read(&changed).map(|changed| Change {
                    revision,
                    changed,
                    was: None,
                }));
            }
            Ok(changes)
        })
        .await
    }

    /// See [`wpk_api::TaskStore::revision`].
    pub(super) async fn revision(&self) -> Result<Revision, StoreError> {
        self.run(|connection| {
            let newest: Option<i64> =
                connection.query_row("SELECT max(REVISION) FROM WORKER_CHANGES", [], |row| {
                    row.get(0)
                })?;
            Ok(Revision(newest.unwrap_or_default().unsigned_abs()))
        })
        .await
    }

    /// See [`wpk_api::TaskStore::place`].
    pub(super) async fn place(&self, reader: &str) -> Result<Revision, StoreError> {
        let reader = reader.to_owned();
        self.run(move |connection| {
            let sql = "SELECT PLACE FROM WORKER_READERS WHERE NAME = ?1";
            let place: Option<i64> = connection
                .query_row(sql, [reader], |row| row.get(0))
                .optional()?;
            Ok(Revision(place.unwrap_or_default().unsigned_abs()))
        })
        .await
    }

    /// See [`wpk_api::TaskStore::set_place`].
    pub(super) async fn set_place(&self, reader: &str, place: Revision) -> Result<(), StoreError> {
        if !(1..=64).contains(&reader.len()) {
            let why = "a reader's name has 1 to 64 bytes";
            return Err(StoreError::Damaged(why.to_owned()));
        }
        let (reader, place) = (
            reader.to_owned(),
            i64::try_from(place.0).unwrap_or(i64::MAX),
        );
        self.run(move |connection| {
            connection
                .execute(
                    "INSERT INTO WORKER_READERS (NAME, PLACE) VALUES (?1, ?2) \
                     ON CONFLICT (NAME) DO UPDATE SET PLACE = max(PLACE, excluded.PLACE)",
                    params![reader, place],
                )
                .map(|_| ())
        })
        .await
    }

    /// How many crashes have interrupted each of the tasks; with `crashed` one more.
    pub(super) async fn crashes(
        &self,
        tasks: Vec<TaskId>,
        crashed: bool,
    ) -> Result<Vec<u32>, StoreError> {
        self.run(move |connection| {
            tasks
                .iter()
                .map(|task| count_crash(connection, *task, crashed))
                .collect()
        })
        .await
    }

    /// Deletes what is remembered of the oldest tasks, beyond the newest ones.
    pub(super) async fn forget_old_history(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            let sql = "SELECT max(TASK_ID) FROM WORKER_TIMELINE";
            let newest: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
            let older = newest.unwrap_or_default().saturating_sub(LONGEST_FEED);
            for sql in [
                "DELETE FROM WORKER_TIMELINE WHERE TASK_ID < ?1",
                "DELETE FROM WORKER_CONFIRMATIONS WHERE TASK_ID < ?1",
                "DELETE FROM WORKER_BEGUN WHERE TASK_ID < ?1",
                "DELETE FROM WORKER_CRASHES WHERE TASK_ID < ?1",
                "DELETE FROM WORKER_ENDED WHERE TASK_ID < ?1",
            ] {
                connection.execute(sql, [older])?;
            }
            Ok(())
        })
        .await
    }
}

/// The timeline of a task, oldest first.
pub(super) fn of(connection: &Connection, id: TaskId) -> rusqlite::Result<Vec<TimelineEntry>> {
    let mut statement = connection
        .prepare_cached("SELECT ENTRY FROM WORKER_TIMELINE WHERE TASK_ID = ?1 ORDER BY ENTRY_ID")?;
    let rows = statement.query_map([id.0], |row| row.get::<_, String>(0))?;
    let entries: rusqlite::Result<Vec<_>> = rows.collect();
    Ok(entries?.iter().filter_map(|entry| read(entry)).collect())
}

/// Adds an entry to the timeline of a task.
pub(super) fn add(
    connection: &Connection,
    id: TaskId,
    entry: &TimelineEntry,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO WORKER_TIMELINE (TASK_ID, ENTRY) VALUES (?1, ?2)")?
        .execute(params![id.0, json(entry)?])?;
    connection
        .prepare_cached(
            "DELETE FROM WORKER_TIMELINE WHERE TASK_ID = ?1 AND ENTRY_ID <= (\
                 SELECT ENTRY_ID FROM WORKER_TIMELINE WHERE TASK_ID = ?1 \
                 ORDER BY ENTRY_ID DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![id.0, LONGEST_TIMELINE as i64])
        .map(|_| ())
}

/// Tells those who read the changes what a task is like now, and keeps it where it has
/// ended.
pub(super) fn tell(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    if !task.status.is_live() {
        connection
            .prepare_cached("INSERT OR REPLACE INTO WORKER_ENDED (TASK_ID, TASK) VALUES (?1, ?2)")?
            .execute(params![task.id.0, json(task)?])?;
    }
    connection
        .prepare_cached("INSERT INTO WORKER_CHANGES (CHANGED) VALUES (?1)")?
        .execute([json(&Changed::Task(task.clone()))?])
        .map(|_| ())
}

fn count_crash(connection: &Connection, task: TaskId, crashed: bool) -> rusqlite::Result<u32> {
    if crashed {
        connection
            .prepare_cached(
                "INSERT INTO WORKER_CRASHES (TASK_ID, CRASHES) VALUES (?1, 1) \
                 ON CONFLICT (TASK_ID) DO UPDATE SET CRASHES = CRASHES + 1",
            )?
            .execute([task.0])?;
    }
    let found: Option<u32> = connection
        .prepare_cached("SELECT CRASHES FROM WORKER_CRASHES WHERE TASK_ID = ?1")?
        .query_row([task.0], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}
