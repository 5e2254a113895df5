//! What a store keeps beside tasks: documents, each with a version to compare and an epoch
//! that fences the tasks made for it. Rollouts, holds and labels are kept so.

use serde::{Deserialize, Serialize};

use crate::{Status, Task, TaskId, UnixTime, Version};

/// The longest key of a document, in bytes; at least one.
pub const LONGEST_KEY: usize = 255;
/// The longest text of a document, in bytes.
pub const LONGEST_DOCUMENT: usize = 16 << 20;
/// The longest mark of a task, in bytes.
pub const LONGEST_MARK: usize = 1024;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name: 1 to [`LONGEST_KEY`] bytes.
    pub key: String,
    /// Which writing of any document it is: higher than every one before it in the same
    /// store, so that none comes twice, not even after the document was deleted.
    pub version: u64,
    /// See [`NewDocument::epoch`].
    pub epoch: u64,
    /// See [`NewDocument::keeps_tasks`].
    pub keeps_tasks: bool,
    /// What it says: at most [`LONGEST_DOCUMENT`] bytes. The store never looks into it.
    pub text: String,
}

/// A document as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDocument {
    /// Below 2^63, and only ever raised. A raise ends, in the same transaction, every task that is
    /// [fenced](Fence) by the document with a lower epoch, is live, and whose installer was not
    /// begun: it becomes Cancelled.
    pub epoch: u64,
    /// Whether tasks that are fenced by it stay however old they are
    /// ([`TaskStore::purge`](crate::TaskStore::purge)).
    pub keeps_tasks: bool,
    /// What it says.
    pub text: String,
}

/// One writing: compare and set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentWrite {
    /// Which document.
    pub key: String,
    /// Its version now; `None` if it is not there.
    pub expected: Option<u64>,
    /// What it becomes; `None` deletes it, and ends the tasks that a raise of its epoch
    /// would.
    pub becomes: Option<NewDocument>,
}

/// What is true as long as a document has this version: who acts for a document that
/// was written by somebody else meanwhile has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Which document.
    pub key: String,
    /// The version it must have.
    pub version: u64,
}

/// For which document a task was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Its key.
    pub key: String,
    /// Its epoch then. The task is not created, and its installer never begun,
    /// once the document has another, or is not there.
    pub epoch: u64,
    /// From when on it may be claimed, in seconds since 1970 by the store's clock: before,
    /// only its file is sent ([`TaskStore::staging`](crate::TaskStore::staging)).
    #[serde(default)]
    pub opens: UnixTime,
    /// From when on its installer is not begun any more, by the same clock; `None`: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<UnixTime>,
    /// What the document's owner keeps with the task: at most [`LONGEST_MARK`] bytes; a task
    /// with a longer one is not created. The store never looks into it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
}

/// A task that was made for a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The task.
    pub task: Task,
    /// The key of the document; empty where a plugin of minor version 3 tells of it.
    #[serde(default)]
    pub key: String,
    /// The epoch with which it was made.
    pub epoch: u64,
    /// Whether its installer was begun.
    pub begun: bool,
    /// Which version the agent is to run then, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Version>,
    /// See [`Fence::opens`]; what was written last.
    #[serde(default)]
    pub opens: UnixTime,
    /// See [`Fence::closes`]; what was written last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<UnixTime>,
    /// When its installer was begun, in seconds since 1970 by the store's clock; `None` where
    /// it was not. Where a store of an earlier release wrote down no more than that it was:
    /// the task's time of the last update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<UnixTime>,
    /// The file lies at the agent, as far as anybody wrote down ([`AttemptChange::Staged`]).
    #[serde(default)]
    pub staged: bool,
    /// See [`Fence::mark`]; what was written last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
}

/// A change of a task that was made for a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptWrite {
    /// Which task, of whichever node.
    pub task: TaskId,
    /// What becomes of it.
    pub change: AttemptChange,
}

/// What may become of a task that was made for a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptChange {
    /// Its fence [opens](Fence::opens) and [closes](Fence::closes) then.
    Open {
        /// See [`Fence::opens`].
        opens: UnixTime,
        /// See [`Fence::closes`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<UnixTime>,
    },
    /// It becomes Cancelled, as by a raise of its document's epoch; its timeline gets
    /// [`TimelineEntry::taken_back`](crate::TimelineEntry::taken_back) with these words.
    Cancel(String),
    /// Whether its file lies at the agent.
    Staged(bool),
    /// Its [mark](Fence::mark), at most [`LONGEST_MARK`] bytes.
    Mark(String),
}

impl AttemptChange {
    /// Whether it applies to a task with this status, whose installer was begun or not: the
    /// one rule of all stores. A mark may be written at any time, all else while the
    /// task is live and not begun.
    pub fn is_open(&self, status: &Status, begun: bool) -> bool {
        match self {
            Self::Mark(mark) => mark.len() <= LONGEST_MARK,
            Self::Open { .. } | Self::Cancel(_) | Self::Staged(_) => status.is_live() && !begun,
        }
    }
}
