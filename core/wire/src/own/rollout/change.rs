//! `rollout_pause`, `rollout_resume`, `rollout_halt`, `rollout_cancel`, `rollout_retry`,
//! `rollout_skip`, `rollout_settle`: what an operator changes in a rollout. The answer of
//! all of them is one [`ListedRollout`](super::ListedRollout), as it is afterwards.

use serde_json::{Map, Value, json};
use wpk_api::AgentId;

use super::read;
use crate::codes::UpgradeCode;
use crate::parameters::{flag, should_be};
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// A change of a rollout, the newest of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRollout {
    /// Its name.
    pub name: String,
    /// What is changed, which also is the command.
    pub change: RolloutChange,
}

/// What an operator changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutChange {
    /// Nothing begins until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// It is stopped, for this reason; empty: none was given. At most
    /// [`LONGEST_REASON`](super::LONGEST_REASON) bytes.
    Halt(String),
    /// It ends. What was begun ends by itself.
    Cancel,
    /// Another try for agents that failed.
    Retry(Which),
    /// These are left out.
    Skip(Vec<AgentId>),
    /// An operator says how an attempt ended of which no word came.
    Settle {
        /// The agent.
        agent: AgentId,
        /// Whether it succeeded.
        succeeded: bool,
    },
}

/// Which agents are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that failed.
    Failed,
    /// These.
    Agents(Vec<AgentId>),
}

impl ChangeRollout {
    pub(super) fn command(&self) -> UpgradeCommand {
        match &self.change {
            RolloutChange::Pause => UpgradeCommand::RolloutPause,
            RolloutChange::Resume => UpgradeCommand::RolloutResume,
            RolloutChange::Halt(_) => UpgradeCommand::RolloutHalt,
            RolloutChange::Cancel => UpgradeCommand::RolloutCancel,
            RolloutChange::Retry(_) => UpgradeCommand::RolloutRetry,
            RolloutChange::Skip(_) => UpgradeCommand::RolloutSkip,
            RolloutChange::Settle { .. } => UpgradeCommand::RolloutSettle,
        }
    }

    pub(super) fn parameters(&self) -> Value {
        let name = &self.name;
        match &self.change {
            RolloutChange::Pause | RolloutChange::Resume | RolloutChange::Cancel => {
                json!({"name": name})
            }
            RolloutChange::Halt(reason) => json!({"name": name, "reason": reason}),
            RolloutChange::Retry(Which::Failed) => json!({"name": name, "failed": true}),
            RolloutChange::Retry(Which::Agents(agents)) | RolloutChange::Skip(agents) => {
                json!({"name": name, "agents": agents})
            }
            RolloutChange::Settle { agent, succeeded } => {
                json!({"name": name, "agent": agent, "succeeded": succeeded})
            }
        }
    }

    fn with(parameters: &Map<String, Value>, change: RolloutChange) -> Result<Self, Refusal> {
        let name = read::name(parameters)?;
        Ok(Self { name, change })
    }

    pub(super) fn pause(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, RolloutChange::Pause)
    }

    pub(super) fn resume(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, RolloutChange::Resume)
    }

    pub(super) fn halt(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, RolloutChange::Halt(read::reason(parameters)?))
    }

    pub(super) fn cancel(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, RolloutChange::Cancel)
    }

    pub(super) fn retry(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let which = match (flag(parameters, "failed")?, parameters.get("agents")) {
            (true, None) => Which::Failed,
            (true, Some(_)) => {
                return Err(should_be(
                    "failed",
                    "false or absent where agents are named",
                ));
            }
            (false, _) => Which::Agents(read::agents(parameters)?),
        };
        Self::with(parameters, RolloutChange::Retry(which))
    }

    pub(super) fn skip(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, RolloutChange::Skip(read::agents(parameters)?))
    }

    pub(super) fn settle(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let agent = read::agent(parameters)?;
        // A word that is forgotten must not be taken for a failure.
        if !parameters.contains_key("succeeded") {
            return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
        }
        let succeeded = flag(parameters, "succeeded")?;
        Self::with(parameters, RolloutChange::Settle { agent, succeeded })
    }
}
