//! The store: one writer at a time, readers that never wait for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;
use wpk_plugin::api::{
    AgentId, Cancel, Change, Claimed, Confirmation, Created, NewTask, Overdue, Revision,
    StoreError, Task, TaskId, TaskStore, TimelineEntry, Transition, TransitionResult, UnixTime,
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
    async fn create(&self, new: Vec<NewTask>) -> Result<Vec<Created>, StoreError> {
        self.call(|tasks| {
            let created = new.into_iter().map(|new| tasks.create(new));
            let created: Result<_, _> = created.collect();
            created.map_err(|error| StoreError::Damaged(format!("an order: {error}")))
        })
        .await
    }

    async fn latest(&self, agents: &[AgentId]) -> Result<Vec<Option<Task>>, StoreError> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        Ok(agents
            .iter()
            .map(|agent| newest.get(agent).cloned())
            .collect())
    }

    async fn transition(
        &self,
        moves: Vec<Transition>,
    ) -> Result<Vec<TransitionResult>, StoreError> {
        self.call(move |tasks| Ok(moves.iter().map(|one| tasks.transition(one)).collect()))
            .await
    }

    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.claim(&node, limit, now)))
            .await
    }

    async fn interrupted(&self, node: &str, crashed: bool) -> Result<Vec<Claimed>, StoreError> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.interrupted(&node, crashed)))
            .await
    }

    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError> {
        self.call(move |tasks| Ok(tasks.begin_installer(task, now)))
            .await
    }

    async fn touch(&self, ids: &[TaskId], now: UnixTime) -> Result<(), StoreError> {
        let ids = ids.to_owned();
        self.call(move |tasks| {
            tasks.touch(&ids, now);
            Ok(())
        })
        .await
    }

    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> Result<u64, StoreError> {
        let node = node.to_owned();
        self.call(move |tasks| Ok(tasks.cancel(&node, which, now)))
            .await
    }

    async fn withdraw(&self, ids: &[TaskId]) -> Result<u64, StoreError> {
        let ids = ids.to_owned();
        self.call(move |tasks| Ok(tasks.withdraw(&ids))).await
    }

    async fn in_progress(&self, after: TaskId, limit: usize) -> Result<Vec<Task>, StoreError> {
        self.call(move |tasks| Ok(tasks.in_progress(after, limit)))
            .await
    }

    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> Result<Vec<Task>, StoreError> {
        let overdue = overdue.to_owned();
        self.call(move |tasks| Ok(tasks.expire(&overdue, now)))
            .await
    }

    async fn purge(&self, created_until: UnixTime) -> Result<u64, StoreError> {
        self.call(move |tasks| Ok(tasks.purge(created_until))).await
    }

    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> Result<(), StoreError> {
        self.call(move |tasks| {
            tasks.note(entries);
            Ok(())
        })
        .await
    }

    async fn timeline(&self, task: TaskId) -> Result<Vec<TimelineEntry>, StoreError> {
        self.call(move |tasks| Ok(tasks.timeline(task))).await
    }

    async fn confirm(
        &self,
        task: TaskId,
        confirmation: Confirmation,
        at: UnixTime,
    ) -> Result<bool, StoreError> {
        self.call(move |tasks| Ok(tasks.confirm(task, &confirmation, at)))
            .await
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.call(move |tasks| Ok(tasks.feed.after(after, limit)))
            .await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.call(|tasks| Ok(tasks.feed.revision())).await
    }

    async fn place(&self, reader: &str) -> Result<Revision, StoreError> {
        let reader = reader.to_owned();
        self.call(move |tasks| Ok(tasks.feed.place(&reader))).await
    }

    async fn set_place(&self, reader: &str, place: Revision) -> Result<(), StoreError> {
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
