//! TaskStore: where tasks are kept.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{AgentId, Command, Order, Status, Task, TaskId, UnixTime};

/// Keeps tasks so that a crash loses none and no upgrade runs twice
/// (protocol.md, section 3).
///
/// Every call is one transaction: all of it is on disk when the call returns
/// `Ok`, nothing of it when it returns an error. Times come from the caller.
/// `node` is always the name of the calling node.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Creates tasks in the given order, all with status Pending. An
    /// `exclusive` task is refused, alone, when its agent already has a live
    /// task (Pending or In progress), an earlier one of the same call included;
    /// a Pending task of *another* node does not count and is deleted instead
    /// (what `upgrade_get_status` does to it, protocol.md, section 3).
    /// The result has one entry per new task, in the same order.
    async fn create(&self, tasks: Vec<NewTask>) -> Result<Vec<Created>, StoreError>;

    /// The newest task (highest id) of each of the agents, in the order asked;
    /// `None` where an agent has none. Duplicates in `agents` are answered twice.
    /// Never waits for a writer.
    async fn latest(&self, agents: &[AgentId]) -> Result<Vec<Option<Task>>, StoreError>;

    /// Carries out moves one after the other, each if it is legal at that
    /// moment ([`Status::may_become`], [`Status::needs_same_node`]): compare and set.
    async fn transition(&self, moves: Vec<Transition>)
    -> Result<Vec<TransitionResult>, StoreError>;

    /// Takes up to `limit` Pending tasks of `node` that have an [`Order`],
    /// oldest first, and makes them In progress in the same transaction. A task
    /// is claimed once, however many ask at the same time.
    async fn claim(
        &self,
        node: &str,
        limit: usize,
        now: UnixTime,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// The tasks of `node` that are In progress, have an [`Order`], and whose
    /// installer was never begun: what a crash interrupted and may safely be
    /// delivered again. Oldest first. Changes nothing.
    async fn interrupted(&self, node: &str) -> Result<Vec<Claimed>, StoreError>;

    /// Records, before the agent is told to run the installer, that it is about
    /// to be. `true` exactly once per task, and only while it is In progress;
    /// on `false` the installer must not be run.
    async fn begin_installer(&self, task: TaskId, now: UnixTime) -> Result<bool, StoreError>;

    /// Marks tasks that are In progress as alive at `now`, so that
    /// [`expire`](TaskStore::expire) spares them while a long delivery runs.
    /// What `upgrade_result` shows as the time of the last update changes too.
    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> Result<(), StoreError>;

    /// Makes all Pending tasks of `node` Cancelled; returns how many.
    async fn cancel(&self, node: &str, now: UnixTime) -> Result<u64, StoreError>;

    /// Deletes tasks that are still Pending; returns how many. (What
    /// `upgrade_get_status` does to a Pending task of another node.)
    async fn withdraw(&self, tasks: &[TaskId]) -> Result<u64, StoreError>;

    /// Makes tasks that are In progress and were last updated (or, never
    /// updated, created) at or before `not_since` end as Timeout; returns them.
    async fn expire(&self, not_since: UnixTime, now: UnixTime) -> Result<Vec<Task>, StoreError>;

    /// Deletes tasks, of whatever status, created at or before `created_until`;
    /// returns how many.
    async fn purge(&self, created_until: UnixTime) -> Result<u64, StoreError>;
}

/// A task to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// The agent to upgrade.
    pub agent: AgentId,
    /// The owning node.
    pub node: String,
    /// Who asks.
    pub module: String,
    /// What for.
    pub command: Command,
    /// Now.
    pub created: UnixTime,
    /// What is needed to carry it out; `None` for a task that only the task
    /// socket knows: nobody will ever claim it.
    pub order: Option<Order>,
    /// Refuse it if the agent already has a live task.
    pub exclusive: bool,
}

/// What became of a new task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Created {
    /// It has this id.
    Task(TaskId),
    /// Its agent already has this live task (code 10).
    AlreadyLive(TaskId),
}

/// A task taken from the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The task, now In progress.
    pub task: Task,
    /// How to carry it out; an error text if what was stored cannot be read.
    pub order: Result<Order, String>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which task.
    pub select: Selector,
    /// The new status.
    pub to: Status,
    /// The calling node.
    pub node: String,
    /// Replaces the stored text when `Some`; `None` leaves it.
    pub error_msg: Option<String>,
    /// Now; becomes the time of the last update.
    pub at: UnixTime,
}

/// Which task a move is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// This one.
    Task(TaskId),
    /// The newest task of this agent.
    LatestOf(AgentId),
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionResult {
    /// Done; the task as it is now.
    Moved(Task),
    /// Not legal now; the task as it is, `None` if there is none.
    Refused(Option<Task>),
}

/// Why a store did not do it. Nothing of the call took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is closed.
    #[error("the task store is not available: {0}")]
    Unavailable(String),
    /// The disk is full or the store may not grow.
    #[error("the task store cannot be written: {0}; free disk space, nothing was lost")]
    Full(String),
    /// The store answered something that makes no sense, or is damaged.
    #[error("the task store is damaged or has an unknown layout: {0}")]
    Damaged(String),
}
