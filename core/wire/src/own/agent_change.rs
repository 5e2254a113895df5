//! `agent_show`, `agent_revoke`, `agent_remove`, `agent_rename`, `agent_label`: one agent
//! of the embedded manager. The answer of all of them is one item of `agent_list` with
//! what else is known; of a removed agent its id alone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wpk_api::{AgentChange, AgentId, Labels};

use crate::codes::UpgradeCode;
use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// All that is known of an agent, also of one that was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShowAgent {
    /// The agent.
    pub agent: AgentId,
}

impl ShowAgent {
    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        agent(parameters).map(|agent| Self { agent })
    }
}

/// A change of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeAgent {
    /// The agent.
    pub agent: AgentId,
    /// What is changed, which also is the command.
    pub change: AgentChange,
}

impl ChangeAgent {
    pub(crate) fn command(&self) -> UpgradeCommand {
        match &self.change {
            AgentChange::Revoke => UpgradeCommand::AgentRevoke,
            AgentChange::Remove => UpgradeCommand::AgentRemove,
            AgentChange::Rename(_) => UpgradeCommand::AgentRename,
            AgentChange::Label { .. } => UpgradeCommand::AgentLabel,
        }
    }

    pub(crate) fn parameters(&self) -> Value {
        let agent = self.agent;
        match &self.change {
            AgentChange::Revoke | AgentChange::Remove => json!({"agent": agent}),
            AgentChange::Rename(name) => json!({"agent": agent, "name": name}),
            AgentChange::Label { set, unset } => {
                json!({"agent": agent, "set": set, "unset": unset})
            }
        }
    }

    pub(crate) fn revoke(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, AgentChange::Revoke)
    }

    pub(crate) fn remove(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Self::with(parameters, AgentChange::Remove)
    }

    pub(crate) fn rename(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        match parameters.get("name") {
            Some(Value::String(name)) => Self::with(parameters, AgentChange::Rename(name.clone())),
            _ => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
        }
    }

    pub(crate) fn label(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let set = labels(parameters, "set")?;
        let unset = match parameters.get("unset") {
            None => Vec::new(),
            Some(keys) => {
                Vec::deserialize(keys).map_err(|_| should_be("unset", "a list of strings"))?
            }
        };
        Self::with(parameters, AgentChange::Label { set, unset })
    }

    fn with(parameters: &Map<String, Value>, change: AgentChange) -> Result<Self, Refusal> {
        let agent = agent(parameters)?;
        Ok(Self { agent, change })
    }
}

/// Labels; none where they are absent.
pub(crate) fn labels(
    parameters: &Map<String, Value>,
    key: &'static str,
) -> Result<Labels, Refusal> {
    match parameters.get(key) {
        None => Ok(Labels::new()),
        Some(labels) => {
            Labels::deserialize(labels).map_err(|_| should_be(key, "an object of strings"))
        }
    }
}

fn agent(parameters: &Map<String, Value>) -> Result<AgentId, Refusal> {
    let id = (parameters.get("agent"))
        .ok_or_else(|| Refusal::upgrade(UpgradeCode::RequiredParameters))?;
    let id = id.as_i64().ok_or_else(|| should_be("agent", "a number"))?;
    AgentId::new(id).map_err(|error| Refusal::not_recognized(error.to_string()))
}
