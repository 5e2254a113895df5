//! [`Tables`] behind the trait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wpk_api::{
    AgentId, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Imported, NewTask, Overdue,
    Revision, StoreError, StoreResult, Task, TaskId, TaskStore, TimelineEntry, Transition,
    TransitionResult, UnixTime, Version,
};

use super::Tables;

/// A task store that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tables, to look at or to change behind the engine's back.
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for MemoryStore {
    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        Ok(self.tables().create(tasks))
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        Ok(self.tables().latest(agents))
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        Ok(self.tables().transition(moves))
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        Ok(self.tables().claim(node, limit, now))
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        Ok(self.tables().interrupted(node, crashed))
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        Ok(self.tables().begin_installer(task, target, now))
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()> {
        self.tables().touch(tasks, now);
        Ok(())
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        Ok(self.tables().cancel(node, which, now))
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64> {
        Ok(self.tables().withdraw(tasks))
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        Ok(self.tables().tasks(ids))
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        Ok(self.tables().in_progress(after, limit))
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        Ok(self.tables().expire(overdue, now))
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        Ok(self.tables().purge(created_until))
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        self.tables().note(entries);
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
        Ok(self.tables().confirm(task, what, entry))
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
        match self.tables().set_place(reader, place) {
            true => Ok(()),
            false => Err(StoreError::Damaged(
                "a reader's name has 1 to 64 bytes".to_owned(),
            )),
        }
    }

    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        self.tables().keep_readers(names);
        Ok(())
    }

    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        Ok(self.tables().import(tasks))
    }
}
