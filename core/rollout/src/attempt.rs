//! Attempts: one hop of one agent, which is one task.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wpk_api::{AgentId, Confirmation, Status, TaskId, UnixTime, Version};

use crate::facts::RolloutKey;

/// What the planner must know of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The task; later attempts have higher ids.
    pub id: TaskId,
    /// Its agent.
    pub agent: AgentId,
    /// The rollout that began it; `None` for a request of somebody.
    pub rollout: Option<RolloutKey>,
    /// The version of this hop.
    pub target: Option<Version>,
    /// Leave to begin its installer; kept when it was used.
    pub permit: Option<Permit>,
    /// The file lies at the agent.
    pub staged: bool,
    /// When its installer was begun.
    pub begun: Option<UnixTime>,
    /// How it ended, and when.
    pub end: Option<(UnixTime, Outcome)>,
    /// When the agent was first seen to run `target` after the installer was begun
    /// ([`Action::Observe`](crate::Action::Observe)).
    pub observed: Option<UnixTime>,
    /// When its soak was found to be over
    /// ([`Action::Soaked`](crate::Action::Soaked)).
    pub soaked: Option<UnixTime>,
}

/// How a task ended, as far as anybody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The agent says that it was upgraded.
    Succeeded,
    /// The delivery failed or the agent reported failure, in these words.
    Failed(Arc<str>),
    /// Its file could not be had, in these words: the repository's failure, or this
    /// manager's, before anything was sent.
    NoFile(Arc<str>),
    /// The agent says that it was upgraded, and was seen to run this instead.
    Unconfirmed(Arc<str>),
    /// No word within the task's time-out.
    Silent,
    /// It was sent to a version that never reports.
    Legacy,
    /// It was taken back before its installer was begun.
    Cancelled,
}

impl Outcome {
    /// What a task's status says; `None` while it is live, and of a word that this
    /// version does not know.
    pub fn of(
        status: &Status,
        confirmation: Option<&Confirmation>,
        error: Option<&str>,
    ) -> Option<Self> {
        match status {
            Status::Done => Some(match confirmation.and_then(Confirmation::seen) {
                Some(seen) => Self::Unconfirmed(seen.into()),
                None => Self::Succeeded,
            }),
            Status::Failed => Some(Self::Failed(error.unwrap_or("no cause was given").into())),
            Status::Timeout => Some(Self::Silent),
            Status::Legacy => Some(Self::Legacy),
            Status::Cancelled => Some(Self::Cancelled),
            Status::Pending | Status::InProgress | Status::Other(_) => None,
        }
    }
}

/// Leave to begin an installer. It is looked at in the transaction that writes down
/// that the installer is begun, together with the epoch of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// The rollout's epoch when it was given; worth nothing in any other.
    pub epoch: u64,
    /// The last moment but one: from here on the agent's window is closed. `None` if it
    /// does not close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixTime>,
}

/// Why an installer may not be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLeave {
    /// Nobody gave leave, or it was withdrawn.
    #[error("the rollout gave this attempt no leave to begin")]
    None,
    /// The rollout was paused, halted or cancelled, or its release denied, since.
    #[error("the rollout was stopped after it gave leave to begin")]
    Stopped,
    /// The window is closed.
    #[error("the window of the agent's site is closed")]
    Closed,
}

impl Permit {
    /// The one rule of all stores: whether an installer may be begun at `now` with this
    /// permit, in a rollout whose epoch is `epoch` in the same transaction.
    ///
    /// # Errors
    /// Why not.
    pub fn check(permit: Option<Self>, epoch: u64, now: UnixTime) -> Result<(), NoLeave> {
        let permit = permit.ok_or(NoLeave::None)?;
        if permit.epoch != epoch {
            return Err(NoLeave::Stopped);
        }
        match permit.until {
            Some(until) if now >= until => Err(NoLeave::Closed),
            _ => Ok(()),
        }
    }
}
