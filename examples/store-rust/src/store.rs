//! The store: one writer at a time, readers that never wait for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;
use wpk_plugin::api::{
    AgentId, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Entered, Entrance, Entry,
    Incarnation, NewTask, Overdue, Revision, StoreError, StoreResult, Task, TaskId, TaskStore,
    TimelineEntry, Transition, TransitionResult, UnixTime, Version,
};
use wpk_plugin::async_trait;

use crate::journal::Journal;
use crate::tasks::Tasks;

/// Tasks in a journal.
#[derive(Debug)]
pub struct JournalStore {
    writer: Arc<Mutex<Writer>>,
    /// What `latest` answers from: only what is on disk.
    newest: Arc<RwLock<HashMap<AgentId, Task>>>,
}

#[derive(Debug)]
struct Writer {
    tasks: Tasks,
    journal: Journal,
}

impl JournalStore {
    /// Opens the journal at `path`, or makes it.
    ///
    /// # Errors
    /// [`StoreError`] names the file: it cannot be opened, another process uses
    /// it, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (journal, tasks) = Journal::open(path)?;
        let newest = tasks
            .agents()
            .filter_map(|agent| Some((agent, tasks.newest(agent)?.clone())));
        Ok(Self {
            newest: Arc::new(RwLock::new(newest.collect())),
            writer: Arc::new(Mutex::new(Writer { tasks, journal })),
        })
    }

    /// Carries out one call: all of it and on disk, or nothing. Once begun it
    /// goes on, even if the caller does not wait for it any more.
    async fn call<R, W>(&self, work: W) -> Result<R, StoreError>
    where
        R: Send + 'static,
        W: FnOnce(&mut Tasks) -> Result<R, StoreError> + Send + 'static,
    {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let newest = Arc::clone(&self.newest);
        let call = tokio::task::spawn_blocking(move || {
            let Writer { tasks, journal } = &mut *writer;
            // In case an earlier call ended in a panic.
            tasks.undo();
            let done = work(tasks).and_then(|answer| {
                if let Some(changes) = tasks.changes() {
                    journal.append(&changes)?;
                }
                Ok(answer)
            });
            if done.is_err() {
                tasks.undo();
                return done;
            }
            let changed = tasks.changed_agents();
            tasks.keep();
            let mut newest = newest.write().unwrap_or_else(PoisonError::into_inner);
            for agent in changed {
                match tasks.newest(agent) {
                    Some(task) => newest.insert(agent, task.clone()),
                    None => newest.remove(&agent),
                };
            }
            drop(newest);
            journal.compact(tasks);
            done
        });
        call.await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

#[async_trait]
impl TaskStore for JournalStore {
    // One process has the journal: nobody can shut this one out, and there are no leases.
    async fn enter(&self, entry: &Entry) -> StoreResult<Entrance> {
        let incarnation = self.call(|tasks| Ok(tasks.enter())).await?;
        self.writer.lock().await.tasks.entered = Some(entry.node.clone());
        Ok(Entrance::Entered(Entered {
            incarnation,
            lease: None,
        }))
    }

    async fn orphans(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        self.call(move |tasks| Ok(tasks.orphans(after, limit)))
            .await
    }

    async fn take_over(&self, ids: &[TaskId]) -> StoreResult<Vec<TaskId>> {
        let ids = ids.to_vec();
        self.call(move |tasks| Ok(tasks.take_over(&ids))).await
    }

    async fn begun(&self, task: TaskId) -> StoreResult<Option<Incarnation>> {
        self.call(move |tasks| Ok(tasks.begun(task))).await
    }

    async fn create(&self, new: Vec<NewTask>) -> StoreResult<Vec<Created>> {
        self.call(|tasks| {
            let created = new.into_iter().map(|new| tasks.create(new));
            let created: Result<_, _> = created.collect();
            created.map_err(|error| StoreError::Damaged(format!("an order: {error}")))
        })
        .await
    }

    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        Ok(agents
            .iter()
            .map(|agent| newest.get(agent).cloned())
            .collect())
    }

    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>> {
        let ids = ids.to_vec();
        self.call(move |tasks| {
            let task = |id| tasks.entries.get(id).map(|entry| entry.task.clone());
            Ok(ids.iter().map(task).collect())
        })
        .await
    }

    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>> {
        self.call(move |tasks| Ok(moves.iter().map(|one| tasks.transition(one)).collect()))
            .await
    }

    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.claim(&node, limit, now)))
            .await
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.interrupted(&node, crashed)))
            .await
    }

    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool> {
        self.call(move |tasks| Ok(tasks.begin_installer(task, target, now)))
            .await
    }

    async fn touch(&self, ids: &[TaskId], now: UnixTime) -> StoreResult<()> {
        let ids = ids.to_owned();
        self.call(move |tasks| {
            tasks.touch(&ids, now);
            Ok(())
        })
        .await
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.cancel(&node, which, now)))
            .await
    }

    async fn withdraw(&self, ids: &[TaskId]) -> StoreResult<u64> {
        let ids = ids.to_owned();
        self.call(move |tasks| Ok(tasks.withdraw(&ids))).await
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>> {
        self.call(move |tasks| Ok(tasks.in_progress(after, limit)))
            .await
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>> {
        let overdue = overdue.to_owned();
        self.call(move |tasks| Ok(tasks.expire(&overdue, now)))
            .await
    }

    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64> {
        self.call(move |tasks| Ok(tasks.purge(created_until))).await
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()> {
        self.call(move |tasks| {
            tasks.note(entries);
            Ok(())
        })
        .await
    }

    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>> {
        self.call(move |tasks| Ok(tasks.timeline(task))).await
    }

    async fn awaiting(
        &self,
        node: &str,
        after: TaskId,
        limit: usize,
    ) -> StoreResult<Vec<Awaiting>> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.awaiting(&node, after, limit)))
            .await
    }

    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool> {
        self.call(move |tasks| Ok(tasks.confirm(task, what, entry)))
            .await
    }

    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>> {
        self.call(move |tasks| Ok(tasks.feed.after(after, limit)))
            .await
    }

    async fn revision(&self) -> StoreResult<Revision> {
        self.call(|tasks| Ok(tasks.feed.revision())).await
    }

    async fn place(&self, reader: &str) -> StoreResult<Revision> {
        let reader = reader.to_owned();
        self.call(move |tasks| Ok(tasks.feed.place(&reader))).await
    }

    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()> {
        if !(1..=64).contains(&reader.len()) {
            let why = "a reader's name has 1 to 64 bytes";
            return Err(StoreError::Damaged(why.to_owned()));
        }
        let reader = reader.to_owned();
        self.call(move |tasks| {
            tasks.feed.set_place(&reader, place);
            Ok(())
        })
        .await
    }
}
