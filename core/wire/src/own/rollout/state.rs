//! The states of rollouts and of agents in them, and how many agents are in each.

use serde::{Deserialize, Serialize};

use super::words::spoken;

spoken! {
    /// The state of a rollout.
    RolloutState {
        /// Something is still to come.
        Running = "running",
        /// An operator paused it.
        Paused = "paused",
        /// Its gate or an operator stopped it.
        Halted = "halted",
        /// Nothing is left to do, until agents join or come back.
        Converged = "converged",
        /// Another one of its name took its place.
        Superseded = "superseded",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
}

spoken! {
    /// The state of an agent in a rollout: exactly one.
    AgentState {
        /// It runs the target or a newer version.
        Current = "current",
        /// It is left out.
        Excluded = "excluded",
        /// It is not connected.
        Unreachable = "unreachable",
        /// It can never get to the target.
        Unsupported = "unsupported",
        /// Its turn has not come.
        Waiting = "waiting",
        /// It is being upgraded.
        Running = "running",
        /// It was upgraded, and is watched.
        Soaking = "soaking",
        /// It was upgraded, and stayed well.
        Succeeded = "succeeded",
        /// It was not.
        Failed = "failed",
        /// Its installer was begun, and nobody knows how it is.
        Unknown = "unknown",
    }
}

/// How many agents are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct StateCounts {
    pub current: u64,
    pub excluded: u64,
    pub unreachable: u64,
    pub unsupported: u64,
    pub waiting: u64,
    pub running: u64,
    pub soaking: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub unknown: u64,
}

impl StateCounts {
    /// How many are in a state.
    pub const fn of(&self, state: AgentState) -> u64 {
        match state {
            AgentState::Current => self.current,
            AgentState::Excluded => self.excluded,
            AgentState::Unreachable => self.unreachable,
            AgentState::Unsupported => self.unsupported,
            AgentState::Waiting => self.waiting,
            AgentState::Running => self.running,
            AgentState::Soaking => self.soaking,
            AgentState::Succeeded => self.succeeded,
            AgentState::Failed => self.failed,
            AgentState::Unknown => self.unknown,
            AgentState::Other => 0,
        }
    }

    /// All agents.
    pub fn all(&self) -> u64 {
        let states = AgentState::ALL.iter();
        states.fold(0, |sum, state| sum.saturating_add(self.of(*state)))
    }
}
