//! The task store, with a watch beside it: how long each call takes.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use wpk_api::{
    AgentId, Attempt, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Document,
    DocumentWrite, Entrance, Entry, Guard, Imported, Incarnation, NewTask, NodeState, Overdue,
    Revision, StoreResult, Task, TaskId, TaskStore, TimelineEntry, Transition, TransitionResult,
    UnixTime, Version,
};

use super::Metrics;

/// A store whose calls are measured.
pub(crate) struct Measured {
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) metrics: Arc<Metrics>,
}

macro_rules! measured {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl TaskStore for Measured {
            $(async fn $name(&self, $($argument: $type),*) -> StoreResult<$answer> {
                let asked = Instant::now();
                let answer = self.store.$name($($argument),*).await;
                self.metrics.store_call(stringify!($name), answer.is_ok(), asked.elapsed());
                answer
            })*

            async fn stirred(&self) {
                self.store.stirred().await;
            }
        }
    };
}

measured! {
    fn enter(entry: &Entry) -> Entrance;
    fn renew() -> ();
    fn leave() -> ();
    fn clock() -> Option<UnixTime>;
    fn nodes() -> Vec<NodeState>;
    fn orphans(after: TaskId, limit: usize) -> Vec<Task>;
    fn take_over(tasks: &[TaskId]) -> Vec<TaskId>;
    fn hand_over(tasks: &[TaskId], to: &str) -> Vec<TaskId>;
    fn begun(task: TaskId) -> Option<Incarnation>;
    fn documents(prefix: &str, after: &str, limit: usize) -> Vec<Document>;
    fn write_documents(writes: Vec<DocumentWrite>, guard: Option<Guard>) -> Option<Vec<u64>>;
    fn create_guarded(tasks: Vec<NewTask>, guard: Guard) -> Option<Vec<Created>>;
    fn attempts(key: &str, after: TaskId, limit: usize) -> Vec<Attempt>;
    fn staging(node: &str, after: TaskId, limit: usize) -> Vec<Claimed>;
    fn create(tasks: Vec<NewTask>) -> Vec<Created>;
    fn latest(agents: &[AgentId]) -> Vec<Option<Task>>;
    fn tasks(ids: &[TaskId]) -> Vec<Option<Task>>;
    fn transition(moves: Vec<Transition>) -> Vec<TransitionResult>;
    fn claim(node: &str, limit: usize, now: UnixTime) -> Vec<Claimed>;
    fn interrupted(node: &str, crashed: bool) -> Vec<Claimed>;
    fn begin_installer(task: TaskId, target: Option<Version>, now: UnixTime) -> bool;
    fn touch(tasks: &[TaskId], now: UnixTime) -> ();
    fn cancel(node: &str, which: Cancel, now: UnixTime) -> u64;
    fn withdraw(tasks: &[TaskId]) -> u64;
    fn in_progress(after: TaskId, limit: usize) -> Vec<Task>;
    fn expire(overdue: &[Overdue], now: UnixTime) -> Vec<Task>;
    fn purge(created_until: UnixTime) -> u64;
    fn note(entries: Vec<(TaskId, TimelineEntry)>) -> ();
    fn timeline(task: TaskId) -> Vec<TimelineEntry>;
    fn awaiting(node: &str, after: TaskId, limit: usize) -> Vec<Awaiting>;
    fn confirm(task: TaskId, what: Confirmation, entry: TimelineEntry) -> bool;
    fn changes(after: Revision, limit: usize) -> Vec<Change>;
    fn revision() -> Revision;
    fn place(reader: &str) -> Revision;
    fn set_place(reader: &str, place: Revision) -> ();
    fn keep_readers(names: &[String]) -> ();
    fn import(tasks: Vec<Task>) -> Vec<Imported>;
}
