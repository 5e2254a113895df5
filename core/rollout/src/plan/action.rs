//! What is to be done next. The engine carries actions out in their order, each as a
//! compare-and-set against what the plan was made from; it plans again afterwards.

use wpk_api::{AgentId, TaskId, UnixTime, Version};

use crate::attempt::Permit;
use crate::facts::RolloutKey;

/// One thing to do. Doing one twice does nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write down that a wave is open, who is in it, and with the first wave who is in
    /// which order in the rollout.
    Open {
        /// The rollout.
        rollout: RolloutKey,
        /// The wave's number, that of the next one.
        wave: usize,
        /// Its members.
        members: Vec<AgentId>,
        /// Everybody in the order of the waves; with the first wave only.
        population: Option<Vec<AgentId>>,
    },
    /// Write down that a wave's gate is passed.
    Pass {
        /// The rollout.
        rollout: RolloutKey,
        /// The wave's number.
        wave: usize,
        /// Why it may.
        why: String,
    },
    /// Write down that these came later.
    Join {
        /// The rollout.
        rollout: RolloutKey,
        /// They are entered behind all others.
        agents: Vec<AgentId>,
    },
    /// Halt a rollout ([`Document::halt`](crate::Document::halt)). Comes before all others.
    Halt {
        /// The rollout.
        rollout: RolloutKey,
        /// Why.
        reason: String,
    },
    /// Write down that an agent was seen to run what it was sent.
    Observe {
        /// The attempt.
        attempt: TaskId,
        /// When, which is now.
        at: UnixTime,
    },
    /// Write down that an agent's soak is over.
    Soaked {
        /// The attempt.
        attempt: TaskId,
        /// When, which is now.
        at: UnixTime,
    },
    /// Take leave to begin back, unless the installer was begun.
    Withdraw {
        /// The attempt.
        attempt: TaskId,
    },
    /// Take an attempt back, unless its installer was begun.
    Cancel {
        /// The attempt.
        attempt: TaskId,
        /// Why.
        why: &'static str,
    },
    /// Create an attempt that only sends the file.
    Stage {
        /// The rollout.
        rollout: RolloutKey,
        /// The agent.
        agent: AgentId,
        /// The version of this hop.
        target: Version,
    },
    /// Give leave to begin: to an attempt that is there, or to a new one.
    Begin {
        /// The rollout.
        rollout: RolloutKey,
        /// The agent.
        agent: AgentId,
        /// The attempt, if it is there.
        attempt: Option<TaskId>,
        /// The version of this hop.
        target: Version,
        /// The leave.
        permit: Permit,
    },
}
