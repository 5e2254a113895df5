//! What a store is asked with, and what it answers.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, Command, Fence, KeptOrder, Mover, Order, Standing, Status, Task, TaskId,
    TimelineEntry, UnixTime, Version,
};

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
    /// Pending ones that have no [`Order`](crate::Order), here or at their node ([`NewTask::held`]): none
    /// of ours will ever carry them out.
    WithoutOrder,
    /// Of these the ones that were not imported ([`TaskStore::import`](crate::TaskStore::import)): nobody will ever
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
    /// The document for which it is made, which fences it. A store that keeps no
    /// documents creates none such. Boxed, since few tasks have one, and a request makes
    /// tens of thousands of tasks at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Box<Fence>>,
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
    /// The document of its [`Fence`] has another epoch, or is not there, or its mark is longer
    /// than [`LONGEST_MARK`](crate::LONGEST_MARK).
    Fenced,
}

/// A task taken from the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The task, now In progress.
    pub task: Task,
    /// How to carry it out; an error text if what was stored cannot be read.
    pub order: Result<Order, String>,
    /// How many crashes have interrupted it ([`TaskStore::interrupted`](crate::TaskStore::interrupted)).
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

impl Transition {
    /// Whether a task may be moved so at this moment: the one rule of all stores. `entered`
    /// is the name under which the store was [entered](crate::TaskStore::enter) by the
    /// daemon that asks, `None` where it never was.
    pub fn is_open(&self, task: &Task, standing: Standing, entered: Option<&str>) -> bool {
        let by = self.by;
        let here = || !self.to.needs_same_node() || task.node == self.node;
        task.status.may_become(&self.to, standing, by)
            && match by {
                Mover::Operator => true,
                Mover::Report => here(),
                Mover::Delivery => here() && standing.is_carried_out_by(&task.node, entered),
            }
    }
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
