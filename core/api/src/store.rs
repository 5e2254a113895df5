//! TaskStore: where tasks are kept.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, Change, Command, Confirmation, KeptOrder, Mover, Order, Revision, Status, Task,
    TaskId, TimelineEntry, UnixTime, Version,
};

/// What a call of a store comes to.
pub type StoreResult<T> = Result<T, StoreError>;

/// The version of the contract below. A store plugin states the one it was built
/// for; one built for an older contract is refused when the settings are checked.
pub const STORE_CONTRACT: u32 = 2;

/// Keeps tasks so that a crash loses none and no upgrade runs twice
/// (PROTOCOL.md, section 3).
///
/// Every call is one transaction: all of it is on disk when the call returns
/// `Ok`, nothing of it when it returns an error. Times come from the caller.
/// `node` is always the name of the calling node.
///
/// A task is *ours* if it was created with an [`Order`], also after it ended;
/// it is *begun* once [`begin_installer`](Self::begin_installer) said `true`.
/// Both stay known for as long as the task is there. Every change of a task (its
/// creation, a new status, time of update, text or confirmation, its deletion)
/// gets the next [`Revision`].
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Creates tasks in the given order, all with status Pending. An
    /// `exclusive` task is refused, alone, when its agent already has a live
    /// task (Pending or In progress), an earlier one of the same call included;
    /// a Pending task of *another* node does not count and is deleted instead
    /// (what `upgrade_get_status` does to it, PROTOCOL.md, section 3).
    /// The result has one entry per new task, in the same order. The timeline of
    /// each begins with [`TimelineStep::Created`](crate::TimelineStep::Created).
    async fn create(&self, tasks: Vec<NewTask>) -> StoreResult<Vec<Created>>;

    /// The newest task (highest id) of each of the agents, in the order asked;
    /// `None` where an agent has none. Duplicates in `agents` are answered twice.
    /// Never waits for a writer.
    async fn latest(&self, agents: &[AgentId]) -> StoreResult<Vec<Option<Task>>>;

    /// The tasks with these ids, in the order asked; `None` where there is no such
    /// task, or none that this node knows of.
    async fn tasks(&self, ids: &[TaskId]) -> StoreResult<Vec<Option<Task>>>;

    /// Carries out moves one after the other, each if it is legal at that
    /// moment ([`Status::may_become`], [`Status::needs_same_node`]): compare and
    /// set. A move's `entry` is added to the timeline of the task it moves; where
    /// that had timed out, a report is a late one
    /// ([`TimelineEntry::of_late`](crate::TimelineEntry::of_late)). A task that
    /// becomes Done without a text loses the one it had. A task of ours that ends
    /// gets the confirmation of [`Confirmation::at_end`], and keeps the one it had
    /// where that is `None`.
    async fn transition(&self, moves: Vec<Transition>) -> StoreResult<Vec<TransitionResult>>;

    /// Takes up to `limit` tasks of `node` that have an [`Order`] and were never
    /// taken, oldest first, and makes them In progress in the same transaction:
    /// Pending ones, and those that somebody made In progress without carrying
    /// them out. A task is taken once, however many ask at the same time.
    async fn claim(&self, node: &str, limit: usize, now: UnixTime) -> StoreResult<Vec<Claimed>>;

    /// The tasks of `node` that are In progress, were taken, have an [`Order`],
    /// and whose installer was never begun: what a crash interrupted and may
    /// safely be delivered again. Oldest first. Where the last run `crashed`, one
    /// more crash of each is counted ([`Claimed::crashes`]); nothing else changes.
    async fn interrupted(&self, node: &str, crashed: bool) -> StoreResult<Vec<Claimed>>;

    /// Records, before the agent is told to run the installer, that it is about
    /// to be, and which version the agent will run then: `target`, `None` where
    /// that is not known or nobody could tell afterwards. `true` exactly once per
    /// task, and only while it is In progress; on `false` the installer must not be
    /// run. `true` adds [`TimelineStep::Upgrade`](crate::TimelineStep::Upgrade) to
    /// the timeline and makes `now` the time of the last update.
    async fn begin_installer(
        &self,
        task: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> StoreResult<bool>;

    /// Makes `now` the time of the last update of tasks that are In progress.
    async fn touch(&self, tasks: &[TaskId], now: UnixTime) -> StoreResult<()>;

    /// Makes tasks of `node` Cancelled; returns how many.
    async fn cancel(&self, node: &str, which: Cancel, now: UnixTime) -> StoreResult<u64>;

    /// Deletes tasks that are still Pending, in the given order; returns how many.
    /// (What `upgrade_get_status` does to a Pending task of another node.)
    async fn withdraw(&self, tasks: &[TaskId]) -> StoreResult<u64>;

    /// Up to `limit` tasks of any node that are In progress, with ids above
    /// `after`, ascending.
    async fn in_progress(&self, after: TaskId, limit: usize) -> StoreResult<Vec<Task>>;

    /// Makes those of the tasks Timeout that are still In progress and were not
    /// updated since the caller looked; returns them in the given order. One that
    /// waits to be taken ([`claim`](Self::claim)) goes on waiting. The
    /// timeline gets
    /// [`TimelineStep::Timeout`](crate::TimelineStep::Timeout).
    async fn expire(&self, overdue: &[Overdue], now: UnixTime) -> StoreResult<Vec<Task>>;

    /// Deletes tasks that have ended, of whatever status that is not live,
    /// created at or before `created_until`, and all that belongs to them;
    /// returns how many. One stays as long as an older task of its agent stays that
    /// is In progress or timed out: a word about the newer would be taken for one
    /// about the older.
    async fn purge(&self, created_until: UnixTime) -> StoreResult<u64>;

    /// Adds entries to the timelines of tasks, in the given order. Entries of
    /// tasks that are not there are left out. Of one task the newest
    /// [`LONGEST_TIMELINE`](crate::LONGEST_TIMELINE) are kept.
    async fn note(&self, entries: Vec<(TaskId, TimelineEntry)>) -> StoreResult<()>;

    /// The timeline of a task, oldest first; empty if there is no such task.
    async fn timeline(&self, task: TaskId) -> StoreResult<Vec<TimelineEntry>>;

    /// Up to `limit` tasks of `node` whose confirmation is
    /// [`Confirmation::Awaited`], with ids above `after`, ascending.
    async fn awaiting(&self, node: &str, after: TaskId, limit: usize)
    -> StoreResult<Vec<Awaiting>>;

    /// Says what became of the check of an agent's version; `entry` is added to the
    /// timeline. Only a task whose confirmation is
    /// [`Confirmation::Awaited`] takes it: a verdict is final. `false`: no such task.
    async fn confirm(
        &self,
        task: TaskId,
        what: Confirmation,
        entry: TimelineEntry,
    ) -> StoreResult<bool>;

    /// Up to `limit` changes with revisions above `after`, ascending: each with
    /// the task as it was after that change. A change that is visible has no
    /// invisible one before it. What every known reader has passed
    /// ([`set_place`](Self::set_place)) may be forgotten.
    async fn changes(&self, after: Revision, limit: usize) -> StoreResult<Vec<Change>>;

    /// The revision of the newest change; 0 where there was none.
    async fn revision(&self) -> StoreResult<Revision>;

    /// How far a reader of the feed has come ([`set_place`](Self::set_place)); 0
    /// for one that is not known.
    async fn place(&self, reader: &str) -> StoreResult<Revision>;

    /// Remembers how far a reader of the feed has come; from then on it is known,
    /// and no change that it has not passed is forgotten. A reader's name is 1 to
    /// 64 bytes. Its place only goes forward.
    async fn set_place(&self, reader: &str, place: Revision) -> StoreResult<()>;

    /// Forgets every reader of the feed that has none of these names: one that does not
    /// come any more must not keep what was deleted for ever. Called at the start, with
    /// the names of all observers. By default all are kept.
    async fn keep_readers(&self, names: &[String]) -> StoreResult<()> {
        let _ = names;
        Ok(())
    }

    /// Takes over tasks that somebody else made (rows that a 4.x manager's own module
    /// wrote), as they are: without an [`Order`], so that they are never ours and nobody
    /// claims them, and without the constraint of one live task per agent. Two tasks are
    /// the same if agent, node, module, command and time of creation are.
    ///
    /// One that is not here keeps its id if no other task has it, and gets the next free
    /// one otherwise; ids of later tasks are above all of these. One that was imported
    /// before and differs takes the status, time of update and text that it
    /// has now, if its status [may become](Status::may_become) that one. One that is here
    /// otherwise, or was deleted and whose deletion a known reader has not passed yet, is
    /// left alone. The result has one entry for each, in the same order. In the feed they
    /// are [`Changed::Foreign`](crate::Changed::Foreign).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a store takes nothing over, which is the default.
    async fn import(&self, tasks: Vec<Task>) -> StoreResult<Vec<Imported>> {
        let _ = tasks;
        Err(StoreError::imports_nothing())
    }
}

/// What became of a task of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Imported {
    /// It is new here, under this id.
    New(TaskId),
    /// It was imported before, under this id, and is now as it is shown.
    Followed(TaskId),
    /// It was imported before, under this id, and stays as it is.
    Unchanged(TaskId),
    /// It is a task of this store, under this id; it stays as it is.
    Own(TaskId),
    /// It was a task of this store and is deleted.
    Deleted,
}

/// Which tasks are cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancel {
    /// Pending ones that have no [`Order`], here or at their node ([`NewTask::held`]): none
    /// of ours will ever carry them out.
    WithoutOrder,
    /// Of these the ones that were not imported ([`TaskStore::import`]): nobody will ever
    /// carry them out.
    Abandoned,
    /// All Pending ones.
    Pending,
    /// All Pending ones, and those of ours that are In progress and whose
    /// installer was not begun.
    NotBegun,
}

/// A task without a word for too long, as its caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// The task.
    pub task: TaskId,
    /// Its time of the last update at that moment.
    pub updated: Option<UnixTime>,
}

/// A task that ended well, and whose agent's version is not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaiting {
    /// The task; its time of the last update is when it became Done.
    pub task: Task,
    /// The version that the agent was sent.
    pub target: Version,
    /// The first later task of the same agent whose installer was begun: what is
    /// seen of the agent from then on says nothing about this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskId>,
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
    pub order: Option<KeptOrder>,
    /// Refuse it if the agent already has a live task.
    pub exclusive: bool,
    /// Its node holds the order and carries it out, which is not ours to know: no order
    /// comes with it. It stays known for as long as the task is there. A store that does
    /// not know it cancels such tasks with those [`Cancel::WithoutOrder`].
    #[serde(default)]
    pub held: bool,
}

impl NewTask {
    /// The task that it becomes: Pending, and nothing known of it yet.
    pub fn task(&self, id: TaskId) -> Task {
        Task {
            id,
            agent: self.agent,
            node: self.node.clone(),
            module: self.module.clone(),
            command: self.command.clone(),
            created: self.created,
            updated: None,
            status: Status::Pending,
            error_msg: None,
            confirmation: None,
        }
    }
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
    /// How many crashes have interrupted it ([`TaskStore::interrupted`]).
    #[serde(default)]
    pub crashes: u32,
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
    /// Who moves it.
    pub by: Mover,
    /// What the timeline of the moved task gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<TimelineEntry>,
}

/// Which task a move is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// This one.
    Task(TaskId),
    /// The newest task of this agent.
    LatestOf(AgentId),
    /// The task that a word of this agent is about which names none: the newest
    /// among its tasks that are begun, and those that are not ours.
    SpokenOf(AgentId),
    /// The task that a word of this agent names: this one, and only if it is this
    /// agent's. What the agent names may be anything.
    TaskOf {
        /// The task.
        task: TaskId,
        /// Whose it must be.
        agent: AgentId,
    },
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

impl StoreError {
    /// What [`TaskStore::import`] ends with where a store takes nothing over.
    pub fn imports_nothing() -> Self {
        Self::Unavailable("it takes no tasks of other programs over; use another store".to_owned())
    }
}
