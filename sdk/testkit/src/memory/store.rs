//! [`Tables`] behind the trait: what one daemon has open. Several may have the same
//! tables open, and each is an entry of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use wpk_api::{
    AgentId, Attempt, AttemptWrite, Awaiting, Cancel, Change, Claimed, Confirmation, Created,
    Document, DocumentWrite, Entrance, Entry, Guard, Imported, Incarnation, NewTask, NodeState,
    Overdue, Revision, StoreError, StoreResult, Task, TaskId, TaskPage, TaskQuery, TaskStore,
    TimelineEntry, Transition, TransitionResult, UnixTime, Version,
};

use super::Tables;
use super::entries::{Entries, Mine};

/// A task store that forgets everything when it is dropped, unless somebody else has
/// the same tables [open](Self::open_again).
#[derive(Debug)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    /// Counts what others may want to know of at once.
    stirs: watch::Sender<u64>,
    heard: AtomicU64,
    mine: Mutex<Option<Mine>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::over(Arc::default(), watch::Sender::default())
    }
}

impl MemoryStore {
    /// An empty store of one daemon.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that several daemons can share ([`open_again`](Self::open_again)),
    /// with a lease and a clock of its own, which only [`pass`](Self::pass) moves.
    pub fn shared(lease: Duration, now: UnixTime) -> Self {
        let store = Self::default();
        store.tables().entries = Entries::shared(lease, now);
        store
    }

    /// Another daemon's store over the same tables, not entered yet. Of a store that is
    /// one daemon's the one before is to be dropped, which is no stop: it leaves nothing.
    #[must_use]
    pub fn open_again(&self) -> Self {
        Self::over(Arc::clone(&self.tables), self.stirs.clone())
    }

    fn over(tables: Arc<Mutex<Tables>>, stirs: watch::Sender<u64>) -> Self {
        let heard = AtomicU64::new(*stirs.borrow());
        Self {
            tables,
            stirs,
            heard,
            mine: Mutex::new(None),
        }
    }

    /// Lets time pass by the clock of a shared store.
    pub fn pass(&self, time: Duration) {
        self.tables().entries.pass(time);
    }

    /// The tables, to look at or to change behind the engine's back, as whoever this
    /// store is the entry of.
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.entries.call(self.mine().clone());
        tables
    }

    fn mine(&self) -> MutexGuard<'_, Option<Mine>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables, for whoever may write into them.
    fn write(&self) -> StoreResult<MutexGuard<'_, Tables>> {
        let tables = self.tables();
        match tables.entries.fenced() {
            None => Ok(tables),
            Some(by) => Err(StoreError::Fenced(format!("incarnation {by} entered"))),
        }
    }

    /// The store's time, or the caller's where the store has none, or was not entered.
    fn time(tables: &Tables, given: UnixTime) -> UnixTime {
        let entered = tables.entries.caller().is_some();
        let clock = tables.entries.clock().filter(|_| entered);
        clock.unwrap_or(given)
    }

    fn timed_tasks(tables: &Tables, tasks: Vec<NewTask>) -> Vec<NewTask> {
        let timed = |task: NewTask| NewTask {
            created: Self::time(tables, task.created),
            ..task
        };
        tasks.into_iter().map(timed).collect()
    }

    fn timed(tables: &Tables, entry: TimelineEntry) -> TimelineEntry {
        TimelineEntry {
            at: Self::time(tables, entry.at),
            ..entry
        }
    }

    /// Others may want to know of it.
    fn stir(&self) {
        self.stirs.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl TaskStore for MemoryStore {
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let mut tables = self.tables();
        let entrance = tables.entries.enter(entry);
        if let Entrance::Entered(entered) = &entrance {
            *self.mine() = Some(Mine {
                node: entry.node.clone(),
                incarnation: entered.incarnation,
            });
        }
        Ok(entrance)
    }

    async fn renew(&self) -> StoreResult<()> {
        self.write()?.entries.heard(true);
        Ok(())
    }

    async fn leave(&self) -> StoreResult<()> {
        self.write()?.entries.heard(false);
        self.stir();
        Ok(())
    }

    async fn clock(&self) -> StoreResult<Option<UnixTime>> {
        Ok(self.tables().entries.clock())
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeState>> {
        Ok(self.tables().entries.nodes())
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        Ok(self.tables().orphans(after, limit))
    }

    async fn take_over(&self, tasks: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        Ok(self.write()?.take_over(tasks))
    }

    async fn hand_over(&self, tasks: &[TaskId], to: &str) -> StoreResult<Vec<TaskId>> {
        let moved = self.write()?.hand_over(tasks, to);
        self.stir();
        Ok(moved)
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        Ok(self.tables().begun(task))
    }

    async fn documents(
        &self,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> StoreResult<Vec<Document>> {
        Ok(self.tables().documents(prefix, after, limit))
    }

    async fn write_documents(
        &self,
        writes: Vec<DocumentWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<Vec<u64>>> {
        Ok(self.write()?.write_documents(writes, guard.as_ref()))
    }

    async fn create_guarded(
        &self,
        tasks: Vec<NewTask>,
        guard: Guard,
    ) -> StoreResult<Option<Vec<Created>>> {
        let created = {
            let mut tables = self.write()?;
            let tasks = Self::timed_tasks(&tables, tasks);
            tables.create_guarded(tasks, &guard)
        };
        self.stir();
        Ok(created)
    }

    async fn attempts(&self, key: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Attempt>> {
        Ok(self.tables().attempts(key, after, limit))
    }

    async fn write_attempts(
        &self,
        writes: Vec<AttemptWrite>,
        guard: Option<Guard>,
    ) -> StoreResult<Option<u64>> {
        let applied = self.write()?.write_attempts(writes, guard.as_ref());
        self.stir();
        Ok(applied)
    }

    async fn attempts_of(&self, tasks: &[TaskId]) -> StoreResult<Vec<Option<Attempt>>> {
        Ok(self.tables().attempts_of(tasks))
    }

    async fn staging(&self, node: &str, after: TaskId, limit: usize) -> StoreResult<Vec<Claimed>> {
        Ok(self.tables().staging(node, after, limit))
    }

    async fn stirred(&self) {
        if !self.tables().entries.is_shared() {
            return std::future::pending().await;
        }
        let heard = self.heard.load(Ordering::Acquire);
        let mut stirs = self.stirs.subscribe();
        if let Ok(count) = stirs.wait_for(|count| *count > heard).await {
            self.heard.store(*count, Ordering::Release);
        }
    }

    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        let created = {
            let mut tables = self.write()?;
            let tasks = Self::timed_tasks(&tables, tasks);
            tables.create(tasks)
        };
        self.stir();
        Ok(created)
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        Ok(self.tables().latest(agents))
    }

    async fn history(&self, query: &TaskQuery) -> StoreResult<TaskPage> {
        Ok(self.tables().history(query))
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        let mut tables = self.write()?;
        let timed = |one: Transition| Transition {
            at: Self::time(&tables, one.at),
            entry: one.entry.map(|entry| Self::timed(&tables, entry)),
            ..one
        };
        let moves = moves.into_iter().map(timed).collect();
        Ok(tables.transition(moves))
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let mut tables = self.write()?;
        let now = Self::time(&tables, now);
        Ok(tables.claim(node, limit, now))
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        Ok(self.write()?.interrupted(node, crashed))
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        let mut tables = self.write()?;
        let now = Self::time(&tables, now);
        Ok(tables.begin_installer(task, target, now))
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        let mut tables = self.write()?;
        let now = Self::time(&tables, now);
        tables.touch(tasks, now);
        Ok(())
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        let mut tables = self.write()?;
        let now = Self::time(&tables, now);
        Ok(tables.cancel(node, which, now))
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        Ok(self.write()?.withdraw(tasks))
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        Ok(self.tables().tasks(ids))
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        Ok(self.tables().in_progress(after, limit))
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        let mut tables = self.write()?;
        let now = Self::time(&tables, now);
        Ok(tables.expire(overdue, now))
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        Ok(self.write()?.purge(created_until))
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        let mut tables = self.write()?;
        let timed = |(id, entry)| (id, Self::timed(&tables, entry));
        let entries = entries.into_iter().map(timed).collect();
        tables.note(entries);
        Ok(())
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        Ok(self.tables().timeline(task))
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        Ok(self.tables().awaiting(node, after, limit))
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        let mut tables = self.write()?;
        let entry = Self::timed(&tables, entry);
        Ok(tables.confirm(task, what, entry))
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        Ok(self.tables().changes(after, limit))
    }

    async fn revision(&self) -> StoreResult<Revision> {
        Ok(self.tables().revision())
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        Ok(self.tables().place(reader))
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        match self.write()?.set_place(reader, place) {
            true => Ok(()),
            false => Err(StoreError::Damaged(
                "a reader's name has 1 to 64 bytes".to_owned(),
            )),
        }
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        self.write()?.keep_readers(names);
        Ok(())
    }

    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        Ok(self.write()?.import(tasks))
    }
}
