//! The store as the engine sees it: every call that writes is one transaction
//! ([`crate::work`]), every question one statement.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deadpool::Runtime;
use deadpool::managed::PoolConfig;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_postgres::Row;
use wpk_api::{
    AgentId, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Entrance, Entry,
    Incarnation, NewTask, NodeState, Overdue, Revision, StoreError, StoreResult, Task, TaskId,
    TaskStore, TimelineEntry, Transition, TransitionResult, UnixTime, Version,
};

use crate::fault::Fault;
use crate::listen::Listener;
use crate::place::Place;
use crate::pool::{Borrowed, Maker, Pool, Sql, Values, borrow};
use crate::rows::count;
use crate::settings::Settings;
use crate::work::{Attempts, Own, Work, shut_out};
use crate::{create, ends, entries, moves, read, readers, schema};

/// More time for each task that a call writes.
const EACH: Duration = Duration::from_millis(1);

/// Tasks in a PostgreSQL database that several nodes share (PROTOCOL.md, section 3).
///
/// Nothing is connected before the first call, and what breaks later is made anew by the
/// next: the database may come and go.
pub struct PostgresStore {
    pool: Pool,
    shown: String,
    lease: Duration,
    timeout: Duration,
    own: Arc<Mutex<Option<Own>>>,
    /// Whether the tables are as they must be.
    ready: OnceCell<()>,
    listener: Listener,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.shown)
            .finish_non_exhaustive()
    }
}

/// A transaction from its beginning to its end, tried again where that helps. `$rows`: how
/// many tasks it writes.
macro_rules! write {
    ($store:expr, $rows:expr, |$work:ident| $body:expr) => {{
        let store = $store;
        let mut attempts = store.attempts($rows);
        loop {
            let outcome = async {
                let mut $work = store.begin(&attempts).await?;
                let answer = $body.await?;
                $work.commit().await?;
                Ok::<_, Fault>(answer)
            };
            match outcome.await {
                Ok(answer) => break Ok(answer),
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => break Err(fault.into_error()),
            }
        }
    }};
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
        let shown = place.shown.clone();
        let maker = Maker {
            place,
            schema: settings.schema.clone(),
            prepared: settings.prepared,
        };
        let pool = Pool::builder(maker)
            .config(PoolConfig::new(settings.pool))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            pool,
            shown,
            lease: settings.lease.0,
            timeout: settings.timeout.0,
            listener: Listener::start(listens, settings.schema.clone(), Arc::clone(&own)),
            own,
            ready: OnceCell::new(),
        })
    }

    fn own(&self) -> Option<Own> {
        self.own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn attempts(&self, rows: usize) -> Attempts {
        let more = EACH.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        Attempts::within(self.timeout + more)
    }

    /// Whether the tables are there and of our layout, found out once.
    async fn prepared(&self, deadline: Instant) -> Result<(), Fault> {
        let prepare = async || {
            let session = borrow(&self.pool, deadline).await?;
            let schema = &self.pool.manager().schema;
            let prepared = schema::prepare(&session, schema, deadline).await;
            if prepared.is_err() {
                drop(Borrowed::take(session));
            }
            prepared
        };
        self.ready.get_or_try_init(prepare).await.map(|_| ())
    }

    async fn begin(&self, attempts: &Attempts) -> Result<Work<'_>, Fault> {
        self.begin_as(self.own(), attempts).await
    }

    async fn begin_as(&self, own: Option<Own>, attempts: &Attempts) -> Result<Work<'_>, Fault> {
        self.prepared(attempts.deadline).await?;
        Work::begin(&self.pool, own, attempts.deadline).await
    }

    /// Asks one thing that changes nothing but itself.
    async fn ask(&self, sql: &'static Sql, values: Values<'_>) -> StoreResult<Vec<Row>> {
        let mut attempts = self.attempts(0);
        loop {
            match self.ask_once(sql, values, attempts.deadline).await {
                Ok(rows) => return Ok(rows),
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => return Err(fault.into_error()),
            }
        }
    }

    async fn ask_once(
        &self,
        sql: &'static Sql,
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Fault> {
        self.prepared(deadline).await?;
        let mut session = Kept(Some(borrow(&self.pool, deadline).await?));
        session.ask(sql, values, deadline).await
    }
}

/// A connection that is only given back where its question was answered.
struct Kept(Option<Borrowed>);

impl Kept {
    async fn ask(
        &mut self,
        sql: &'static Sql,
        values: Values<'_>,
        deadline: Instant,
    ) -> Result<Vec<Row>, Fault> {
        let gone = || Fault::Lost("the connection is gone".to_owned());
        let session = self.0.as_mut().ok_or_else(gone)?;
        let rows = session.ask(sql, values, deadline).await?;
        self.0 = None;
        Ok(rows)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            drop(Borrowed::take(session));
        }
    }
}

fn told<T>(answer: Result<T, Fault>) -> StoreResult<T> {
    answer.map_err(Fault::into_error)
}

#[async_trait]
impl TaskStore for PostgresStore {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let mut attempts = self.attempts(0);
        loop {
            let outcome = async {
                let mut work = self.begin_as(None, &attempts).await?;
                let entrance = entries::enter(&mut work, entry, self.lease).await?;
                match &entrance {
                    Entrance::Entered(_) => work.commit().await?,
                    Entrance::Held(_) => work.abandon().await?,
                }
                Ok::<_, Fault>(entrance)
            };
            match outcome.await {
                Ok(entrance) => {
                    if let Entrance::Entered(entered) = &entrance {
                        let own = Own {
                            node: entry.node.clone(),
                            incarnation: entered.incarnation,
                        };
                        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
                    }
                    return Ok(entrance);
                }
                Err(fault) if attempts.again(&fault).await => {}
                Err(fault) => return Err(fault.into_error()),
            }
        }
    }

    async fn renew(&self) -> StoreResult<()> {
        let Some(own) = self.own() else {
            return Ok(());
        };
        let lease = self.lease.as_secs_f64();
        let values: Values<'_> = &[&own.node, &entries::number(&own), &lease];
        match self.ask(&entries::RENEW, values).await?.is_empty() {
            true => Err(shut_out(&own, None).into_error()),
            false => Ok(()),
        }
    }

    async fn leave(&self) -> StoreResult<()> {
        write!(self, 0, |work| entries::leave(&mut work))
    }

    async fn clock(&self) -> StoreResult<Option<UnixTime>> {
        let rows = self.ask(&read::CLOCK, &[]).await?;
        let now = rows.first().map(|row| row.try_get(0)).transpose();
        told(now.map_err(Fault::from))
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeState>> {
        let rows = self.ask(&entries::NODES, &[]).await?;
        told(rows.iter().map(entries::state).collect())
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let Some(own) = self.own() else {
            return Ok(Vec::new());
        };
        let values: Values<'_> = &[&own.node, &after.0, &count(limit)];
        let rows = self.ask(&entries::ORPHANS, values).await?;
        told(read::tasks(&rows))
    }

    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        write!(self, tasks.len(), |work| entries::take_over(
            &mut work, tasks
        ))
    }

    async fn hand_over(&self, tasks: &[TaskId], to: &str) -> StoreResult<Vec<TaskId>> {
        write!(self, tasks.len(), |work| entries::hand_over(
            &mut work, tasks, to
        ))
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        let rows = self.ask(&read::BEGUN, &[&task.0]).await?;
        let by = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
        told(by.map(|by| by.map(i64::unsigned_abs)).map_err(Fault::from))
    }

    async fn stirred(&self) {
        self.listener.stirred().await;
    }

    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        write!(self, tasks.len(), |work| create::create(&mut work, &tasks))
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        let asked = read::agents(agents);
        let rows = self.ask(&read::LATEST, &[&asked]).await?;
        told(read::placed(&rows, agents.len()))
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        let asked = crate::rows::numbers(ids);
        let rows = self.ask(&read::TASKS, &[&asked]).await?;
        told(read::placed(&rows, ids.len()))
    }

    async fn transition(&self, asked: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        write!(self, asked.len(), |work| moves::transition(
            &mut work, &asked
        ))
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let rows = limit.min(MANY);
        let mut taken = write!(self, rows, |work| {
            moves::claim(&mut work, node, limit, now, false)
        })?;
        if taken.more {
            // In a transaction of its own, which holds nothing while it waits.
            let left = limit - taken.tasks.len();
            let held = write!(self, rows, |work| {
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

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        write!(self, 0, |work| moves::interrupted(&mut work, node, crashed))
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        write!(self, 1, |work| {
            moves::begin_installer(&mut work, task, target, now)
        })
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        write!(self, tasks.len(), |work| moves::touch(
            &mut work, tasks, now
        ))
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        write!(self, MANY, |work| moves::cancel(
            &mut work, node, which, now
        ))
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        write!(self, tasks.len(), |work| ends::withdraw(&mut work, tasks))
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        let rows = self
            .ask(&read::IN_PROGRESS, &[&after.0, &count(limit)])
            .await?;
        told(read::tasks(&rows))
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        write!(self, overdue.len(), |work| {
            moves::expire(&mut work, overdue, now)
        })
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        let (mut deleted, mut after) = (0, i64::MIN);
        loop {
            let round = write!(self, MANY, |work| {
                ends::purge(&mut work, after, created_until)
            });
            match round {
                Ok(Some((count, last))) => {
                    deleted += count;
                    after = last;
                }
                Ok(None) => break,
                // What is deleted is; the rest is for the next time.
                Err(_) if deleted > 0 => return Ok(deleted),
                Err(error) => return Err(error),
            }
        }
        // Only tidies up: whatever keeps it from that is met by the next call as well.
        if let Err(error) = write!(self, MANY, |work| ends::forget(&mut work)) {
            tracing::debug!(%error, "what is read of deleted tasks stays for now");
        }
        Ok(deleted)
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        write!(self, entries.len(), |work| async {
            for (id, entry) in &entries {
                moves::note(&mut work, *id, entry)?;
            }
            Ok::<_, Fault>(())
        })
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        let rows = self.ask(&read::TIMELINE, &[&task.0]).await?;
        told(read::timeline(&rows))
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        let values: Values<'_> = &[&node, &after.0, &count(limit)];
        let rows = self.ask(&read::AWAITING, values).await?;
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
        write!(self, 1, |work| moves::confirm(
            &mut work, task, &what, &entry
        ))
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        let after = i64::try_from(after.0).unwrap_or(i64::MAX);
        let rows = self.ask(&read::CHANGES, &[&after, &count(limit)]).await?;
        told(rows.iter().map(read::change).collect())
    }

    async fn revision(&self) -> StoreResult<Revision> {
        let rows = self.ask(&read::REVISION, &[]).await?;
        told(revision(&rows))
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        let node = self.own().map(|own| own.node).unwrap_or_default();
        let rows = self.ask(&read::PLACE, &[&node, &reader]).await?;
        told(revision(&rows))
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        write!(self, 0, |work| readers::set_place(&mut work, reader, place))
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        write!(self, 0, |work| readers::keep(&mut work, names))
    }
}

/// Tasks that a call may write which names none.
const MANY: usize = 30_000;

fn revision(rows: &[Row]) -> Result<Revision, Fault> {
    let found: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(Revision(found.unwrap_or_default().unsigned_abs()))
}
