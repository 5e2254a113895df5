//! The feed of a store: every change of every task in one order
//! ([`TaskStore::changes`](crate::TaskStore::changes)), for observers, progress and
//! metrics.

use serde::{Deserialize, Serialize};

use crate::{Task, TaskId};

/// The number of a change: 1 and up, in the order of the changes, never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

/// One change of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub revision: Revision,
    /// What became of which task.
    pub changed: Changed,
    /// Of a deletion: the task as it was, where the store still knows and nobody else
    /// made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Task>,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// It is new, or it is like this now.
    Task(Task),
    /// As `Task`, of a task that somebody else made and that was imported
    /// ([`TaskStore::import`](crate::TaskStore::import)).
    Foreign(Task),
    /// It is gone.
    Deleted(TaskId),
}
