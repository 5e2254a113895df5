//! Which tasks are listed, and the page that answers.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Confirmation, Status, Task, TaskId, UnixTime};

/// Which tasks are wanted ([`TaskStore::history`](crate::TaskStore::history)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskQuery {
    /// Only those behind this place; `None`: from the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<TaskPlace>,
    /// Only those of these agents; empty: of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// Only those of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Only those that were created then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixTime>,
    /// Only these.
    #[serde(default)]
    pub only: TaskKind,
    /// The most tasks that are looked at, at least one.
    pub limit: usize,
}

/// Where a task stands in the list: the one that was created last comes first, and of several
/// that were created in the same second the one with the highest id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskPlace {
    /// When it was created.
    pub created: UnixTime,
    /// Its id.
    pub task: TaskId,
}

impl TaskPlace {
    /// Behind which all are.
    pub const FIRST: Self = Self {
        created: UnixTime::MAX,
        task: TaskId(i64::MAX),
    };

    /// That of a task.
    pub const fn of(task: &Task) -> Self {
        Self {
            created: task.created,
            task: task.id,
        }
    }
}

/// Tasks by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// All.
    #[default]
    All,
    /// Those that wait or run.
    Live,
    /// Those that ended, and not well as far as is known: Failed, Cancelled, Timeout, and those
    /// whose agent was not seen to run what it was sent.
    Troubled,
}

impl TaskQuery {
    /// How many tasks are looked at, as a store counts rows.
    pub fn looks_at(&self) -> usize {
        self.limit.max(1)
    }

    /// The page that tells of the tasks that were looked at, in their order, as many as there
    /// were up to [`looks_at`](Self::looks_at).
    pub fn page(&self, looked_at: Vec<Task>) -> TaskPage {
        let next = match looked_at.len() < self.looks_at() {
            true => None,
            false => looked_at.last().map(TaskPlace::of),
        };
        let mut tasks = looked_at;
        tasks.retain(|task| self.wants(task));
        TaskPage { tasks, next }
    }

    /// Whether a task is wanted, wherever the page begins: the one rule of all stores.
    pub fn wants(&self, task: &Task) -> bool {
        (self.agents.is_empty() || self.agents.contains(&task.agent))
            && self.node.as_ref().is_none_or(|node| *node == task.node)
            && self.since.is_none_or(|since| task.created >= since)
            && match self.only {
                TaskKind::All => true,
                TaskKind::Live => task.status.is_live(),
                TaskKind::Troubled => is_troubled(task),
            }
    }
}

fn is_troubled(task: &Task) -> bool {
    matches!(
        task.status,
        Status::Failed | Status::Cancelled | Status::Timeout
    ) || matches!(task.confirmation, Some(Confirmation::Unconfirmed(_)))
}

/// Some of the tasks that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPage {
    /// In their order; there may be none although there are more.
    pub tasks: Vec<Task>,
    /// [`TaskQuery::before`] of the page that goes on; `None`: there are no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskPlace>,
}
