//! What a plan says of a rollout as a whole.

use super::gate::{Counts, Gate, Tally};
use crate::Name;
use crate::facts::RolloutKey;

/// A rollout at the moment of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStatus {
    /// Which.
    pub key: RolloutKey,
    /// Its state.
    pub state: RolloutState,
    /// Its agents, by their states.
    pub counts: Counts,
    /// Its waves.
    pub waves: Vec<WaveStatus>,
    /// Why it cannot start, with what to change.
    pub problems: Vec<String>,
    /// Agents that it selects and that belong to rollouts applied before it.
    pub elsewhere: Vec<(Name, usize)>,
    /// Its deadline is over, and so many agents are left.
    pub overdue: Option<usize>,
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutState {
    /// Something is still to come.
    Running,
    /// An operator paused it.
    Paused,
    /// It was stopped for this reason.
    Halted(String),
    /// Nothing is left to do, until agents join or come back.
    Converged,
    /// Another one of its name took its place.
    Superseded,
    /// It was cancelled.
    Cancelled,
}

impl RolloutState {
    /// Its word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted(_) => "halted",
            Self::Converged => "converged",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A wave at the moment of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveStatus {
    /// Its name.
    pub name: Name,
    /// Its members by their states; of one that is not open, only how many.
    pub tally: Tally,
    /// How many of them may fail.
    pub may_fail: usize,
    /// Its gate.
    pub gate: Gate,
}
