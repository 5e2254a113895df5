//! What a store keeps beside tasks: documents, each with a version to compare and an epoch
//! that fences the tasks made for it. Rollouts, holds and labels are kept so.

use serde::{Deserialize, Serialize};

use crate::{Task, UnixTime, Version};

/// The longest key of a document, in bytes; at least one.
pub const LONGEST_KEY: usize = 255;
/// The longest text of a document, in bytes.
pub const LONGEST_DOCUMENT: usize = 16 << 20;

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
}

/// A task that was made for a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The task.
    pub task: Task,
    /// The epoch with which it was made.
    pub epoch: u64,
    /// Whether its installer was begun.
    pub begun: bool,
    /// Which version the agent is to run then, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Version>,
}
