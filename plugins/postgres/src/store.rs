//! The store as the engine sees it: every call that writes is one transaction
//! ([`crate::work`]), every question one statement.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use wpk_api::{
    AgentId, Attempt, AttemptWrite, Awaiting, Cancel, Change, Claimed, Confirmation, Created,
    Document, DocumentWrite, Entrance, Entry, Guard, Incarnation, NewTask, NodeState, Overdue,
    Revision, StoreError, StoreResult, Task, TaskId, TaskPage, TaskQuery, TaskStore, TimelineEntry,
    Transition, TransitionResult, UnixTime, Version,
};

use crate::calls::{self, MANY};
use crate::database::{Database, write, write_if};
use crate::fault::Fault;
use crate::listen::Listener;
use crate::place::Place;
use crate::pool::Values;
use crate::rows::count;
use crate::settings::Settings;
use crate::together::Creates;
use crate::work::shut_out;
use crate::{attempts, begin, create, documents, ends, entries, history, moves, read, readers};

/// Tasks in a PostgreSQL database that several nodes share (PROTOCOL.md, section 3).
///
/// Nothing is connected before the first call, and what breaks later is made anew by the
/// next: the database may come and go.
pub struct PostgresStore {
    database: Arc<Database>,
    creates: Creates,
    lease: Duration,
    listener: Listener,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.database.shown)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// The store of a section; `path` makes its paths absolute. Must be called inside a
    /// tokio runtime. Connects to nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the list of CAs cannot be read.
    pub fn open(settings: &Settings, path: impl Fn(&Path) -> PathBuf) -> Result<Self, StoreError> {
        let wrong = |(key, error)| StoreError::Unavailable(format!("store.{key}: {error}"));
        let place = Place::of(settings, &path).map_err(wrong)?;
        let listens = match settings.listen {
            true => Some(Place::to_listen(settings, &path).map_err(wrong)?),
            false => None,
        };
        let own = Arc::new(Mutex::new(None));
        let database = Arc::new(Database::new(place, settings, Arc::clone(&own))?);
        Ok(Self {
            creates: Creates::start(Arc::clone(&database)),
            database,
            lease: settings.lease.0,
            listener: Listener::start(listens, settings.schema.clone(), own),
        })
    }
}

fn told<T>(answer: Result<T, Fault>) -> StoreResult<T> {
    answer.map_err(Fault::into_error)
}

#[async_trait]
impl TaskStore for PostgresStore {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        calls::enter(&self.database, entry, self.lease).await
    }

    async fn renew(&self) -> StoreResult<()> {
        let Some(own) = self.database.own() else {
            return Ok(());
        };
        let lease = self.lease.as_secs_f64();
        let values: Values<'_> = &[&own.node, &entries::number(&own), &lease];
        match self.database.ask(&entries::RENEW, values).await?.is_empty() {
            true => return Err(shut_out(&own, None).into_error()),
            false => calls::number_some(&self.database).await,
        }
        Ok(())
    }

    async fn leave(&self) -> StoreResult<()> {
        write!(&self.database, 0, |work| entries::leave(&mut work))
    }

    async fn clock(&self) -> StoreResult<Option<UnixTime>> {
        let rows = self.database.ask(&read::CLOCK, &[]).await?;
        let now = rows.first().map(|row| row.try_get(0)).transpose();
        told(now.map_err(Fault::from))
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeState>> {
        let rows = self.database.ask(&entries::NODES, &[]).await?;
        told(rows.iter().map(entries::state).collect())
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let Some(own) = self.database.own() else {
            return Ok(Vec::new());
        };
        let values: Values<'_> = &[&own.node, &after.0, &count(limit)];
        let rows = self.database.ask(&entries::ORPHANS, values).await?;
        told(read::tasks(&rows))
    }

    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        write!(&self.database, tasks.len(), |work| entries::take_over(
            &mut work, tasks
        ))
    }

    async fn hand_over(&self, tasks: &[TaskId], to: &str) -> StoreResult<Vec<TaskId>> {
        write!(&self.database, tasks.len(), |work| entries::hand_over(
            &mut work, tasks, to
        ))
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        let rows = self.database.ask(&read::BEGUN, &[&task.0]).await?;
        let by = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
        told(by.map(|by| by.map(i64::unsigned_abs)).map_err(Fault::from))
    }

    async fn documents(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let values: Values<'_> = &[&prefix, &after, &count(limit)];
        let rows = self.database.ask(&documents::DOCUMENTS, values).await?;
        told(rows.iter().map(documents::document).collect())
    }

    async fn documents_since(
        &self,
        prefix: &str,
        after: u64,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let values: Values<'_> = &[&prefix, &after, &count(limit)];
        let rows = self.database.ask(&documents::SINCE, values).await?;
        told(rows.iter().map(documents::document).collect())
    }

    async fn write_documents(
        &self,
        writes: Vec<DocumentWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<Vec<u64>>> {
        write_if!(&self.database, documents::rows(&writes), |work| {
            documents::write(&mut work, &writes, guard.as_ref())
        })
    }

    async fn create_guarded(
        &self,
        tasks: Vec<NewTask>,
        guard: Guard,
    ) -> StoreResult<Option<Vec<Created>>> {
        write_if!(&self.database, tasks.len(), |work| async {
            match documents::holds(&mut work, &guard).await? {
                true => create::create(&mut work, &tasks).await.map(Some),
                false => Ok::<_, Fault>(None),
            }
        })
    }

    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        let values: Values<'_> = &[&key, &after.0, &count(limit)];
        let rows = self.database.ask(&attempts::ATTEMPTS, values).await?;
        told(attempts::found(&rows))
    }

    async fn write_attempts(
        &self,
        writes: Vec<AttemptWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<u64>> {
        write_if!(&self.database, writes.len(), |work| {
            attempts::write(&mut work, &writes, guard.as_ref())
        })
    }

    async fn attempts_of(&self, tasks: &[TaskId]) -> StoreResult<Vec<Option<Attempt>>> {
        let asked = crate::rows::numbers(tasks);
        let rows = self.database.ask(&attempts::ATTEMPTS_OF, &[&asked]).await?;
        told(attempts::placed(&rows, tasks.len()))
    }

    async fn staging(&self, node: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Claimed>> {
        let values: Values<'_> = &[&node, &after.0, &count(limit)];
        let rows = self.database.ask(&documents::STAGING, values).await?;
        told(rows.iter().map(documents::staged).collect())
    }

    async fn stirred(&self) {
        self.listener.stirred().await;
    }

    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        self.creates.create(&self.database, tasks).await
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        let asked = read::agents(agents);
        let rows = self.database.ask(&read::LATEST, &[&asked]).await?;
        told(read::placed(&rows, agents.len()))
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        let asked = crate::rows::numbers(ids);
        let rows = self.database.ask(&read::TASKS, &[&asked]).await?;
        told(read::placed(&rows, ids.len()))
    }

    async fn history(&self, query: &TaskQuery) -> StoreResult<TaskPage> {
        history::page(&self.database, query).await
    }

    async fn transition(&self, asked: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        write!(&self.database, asked.len(), |work| moves::transition(
            &mut work, &asked
        ))
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        calls::claim(&self.database, node, limit, now).await
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        write!(&self.database, 0, |work| moves::interrupted(
            &mut work, node, crashed
        ))
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        write!(&self.database, 1, |work| {
            begin::begin_installer(&mut work, task, target, now)
        })
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        write!(&self.database, tasks.len(), |work| moves::touch(
            &mut work, tasks, now
        ))
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        write!(&self.database, MANY, |work| moves::cancel(
            &mut work, node, which, now
        ))
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        write!(&self.database, tasks.len(), |work| ends::withdraw(
            &mut work, tasks
        ))
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let values: Values<'_> = &[&after.0, &count(limit)];
        let rows = self.database.ask(&read::IN_PROGRESS, values).await?;
        told(read::tasks(&rows))
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        write!(&self.database, overdue.len(), |work| {
            moves::expire(&mut work, overdue, now)
        })
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        calls::purge(&self.database, created_until).await
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        write!(&self.database, entries.len(), |work| async {
            for (id, entry) in &entries {
                moves::note(&mut work, *id, entry)?;
            }
            Ok::<_, Fault>(())
        })
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        let rows = self.database.ask(&read::TIMELINE, &[&task.0]).await?;
        told(read::timeline(&rows))
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        let values: Values<'_> = &[&node, &after.0, &count(limit)];
        let rows = self.database.ask(&read::AWAITING, values).await?;
        told(
            rows.iter()
                .filter_map(|row| read::awaiting(row).transpose())
                .collect(),
        )
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        write!(&self.database, 1, |work| moves::confirm(
            &mut work, task, &what, &entry
        ))
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        calls::number_changes(&self.database).await?;
        let rows = self
            .database
            .ask(&read::CHANGES, &[&after, &count(limit)])
            .await?;
        told(rows.iter().map(read::change).collect())
    }

    async fn revision(&self) -> StoreResult<Revision> {
        calls::number_changes(&self.database).await?;
        let rows = self.database.ask(&read::REVISION, &[]).await?;
        told(revision(&rows))
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        let node = self.database.own().map(|own| own.node).unwrap_or_default();
        let rows = self.database.ask(&read::PLACE, &[&node, &reader]).await?;
        told(revision(&rows))
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        write!(&self.database, 0, |work| readers::set_place(
            &mut work, reader, place
        ))
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        write!(&self.database, 0, |work| readers::keep(&mut work, names))
    }
}

fn revision(rows: &[Row]) -> Result<Revision, Fault> {
    let found: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(Revision(found.unwrap_or_default().unsigned_abs()))
}
