//! [`Tables`] behind the trait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wpk_api::{
    AgentId, Cancel, Change, Claimed, Confirmation, Created, NewTask, Overdue, Revision,
    StoreError, Task, TaskId, TaskStore, TimelineEntry, Transition, TransitionResult, UnixTime,
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
    async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        Ok(self.tables().create(tasks))
    }

    async fn latest(&self, agents: &[AgentId]) -> Result<Vec<Option<Task>>, StoreError> {
        Ok(self.tables().latest(agents))
    }

    async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        Ok(self.tables().transition(moves))
    }

    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        Ok(self.tables().claim(node, limit, now))
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> Result<Vec<Claimed>, StoreError> {
        Ok(self.tables().interrupted(node, crashed))
    }

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
        Ok(self.tables().begin_installer(task, now))
    }

    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> Result<(), StoreError> {
        self.tables().touch(tasks, now);
        Ok(())
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> Result<u64, StoreError> {
        Ok(self.tables().cancel(node, which, now))
    }

    async fn withdraw(&self, tasks: &[TaskId]) -> Result<u64, StoreError> {
        Ok(self.tables().withdraw(tasks))
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, StoreError> {
        Ok(self.tables().in_progress(after, limit))
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> Result<Vec<Task>, StoreError> {
        Ok(self.tables().expire(overdue, now))
    }

    async fn purge(&self, created_until: UnixTime) -> Result<u64, StoreError> {
        Ok(self.tables().purge(created_until))
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> Result<(), StoreError> {
        self.tables().note(entries);
        Ok(())
    }

    async fn timeline(&self, task: TaskId) -> Result<Vec<TimelineEntry>, StoreError> {
        Ok(self.tables().timeline(task))
    }

    async fn confirm(
        &self,
        task: TaskId,
        confirmation: Confirmation,
        at: UnixTime,
    ) -> Result<bool, StoreError> {
        Ok(self.tables().confirm(task, confirmation, at))
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        Ok(self.tables().changes(after, limit))
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(self.tables().revision())
    }

    async fn place(&self, reader: &str) -> Result<Revision, StoreError> {
        Ok(self.tables().place(reader))
    }

    async fn set_place(&self, reader: &str, place: Revision) -> Result<(), StoreError> {
        match self.tables().set_place(reader, place) {
            true => Ok(()),
            false => Err(StoreError::Damaged(
                "a reader's name has 1 to 64 bytes".to_owned(),
            )),
        }
    }
}
