//! A store around another: every call asks first whether it may go on. What is
//! slow, full or broken about a store is written once, here.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::{
    AgentId, Attempt, Awaiting, Cancel, Change, Claimed, Confirmation, Created, Document,
    DocumentWrite, Entrance, Entry, Guard, Imported, Incarnation, NewTask, NodeState, Overdue,
    Revision, StoreError, Task, TaskId, TaskStore, TimelineEntry, Transition, TransitionResult,
    UnixTime, Version,
};

/// A call of the store inside that waits to be carried out.
pub type Carried<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Decides about each call of a [`StoreAround`].
#[async_trait]
pub trait Gate: Send + Sync {
    /// Called before the call `operation` (the method's name) goes on; may wait.
    ///
    /// # Errors
    /// Then the call ends with it, and the store inside hears nothing.
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError>;

    /// Carries out a call that passed: whoever wants to know what became of it, or
    /// to keep its answer for a while, does so here.
    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        let _ = operation;
        call.await
    }
}

#[async_trait]
impl<G: Gate> Gate for Arc<G> {
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError> {
        (**self).pass(operation).await
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        (**self).carry(operation, call).await
    }
}

/// The store `inside`, behind a gate.
pub struct StoreAround<G> {
    /// The gate.
    pub gate: G,
    /// The store.
    pub inside: Arc<dyn TaskStore>,
}

macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl<G: Gate> TaskStore for StoreAround<G> {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.gate.pass(stringify!($name)).await?;
                let call = self.inside.$name($($argument),*);
                self.gate.carry(stringify!($name), call).await
            })*

            async fn stirred(&self) {
                self.inside.stirred().await;
            }
        }
    };
}

pass_on! {
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
    fn staging(node: &str, after: TaskId, limit: usize) -> Vec<Claimed>;
    fn attempts(key: &str, after: TaskId, limit: usize) -> Vec<Attempt>;
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
    fn confirm(task: TaskId, confirmation: Confirmation, entry: TimelineEntry) -> bool;
    fn changes(after: Revision, limit: usize) -> Vec<Change>;
    fn revision() -> Revision;
    fn place(reader: &str) -> Revision;
    fn set_place(reader: &str, place: Revision) -> ();
    fn keep_readers(names: &[String]) -> ();
    fn import(tasks: Vec<Task>) -> Vec<Imported>;
}
