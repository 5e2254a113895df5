//! `upgrade_cancel`: the newest tasks of agents are taken back where their installers were not
//! begun. What was begun is never taken back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId};

use super::rollout::Words;
use crate::parameters;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks for the tasks of these agents to be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CancelTasks {
    /// 1 to [`CancelTasks::MOST`]; what is no agent's id is refused.
    pub agents: Vec<AgentId>,
}

impl CancelTasks {
    /// The most agents of one request: all of them are one transaction.
    pub const MOST: usize = 1_000;

    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            agents: parameters::agents(parameters, Self::MOST)?,
        })
    }
}

/// What became of an agent's newest task. Its status, as it is now, stands in the item itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// The agent.
    pub agent: AgentId,
    /// The task; `None` where the agent has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What became of it.
    pub outcome: CancelOutcome,
    /// The rollout for which it was made, where that is why it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Words>,
}

/// What became of a task that was to be taken back; a word on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelOutcome {
    /// It is taken back: its installer is never begun.
    TakenBack,
    /// Its installer was begun.
    Begun,
    /// It had ended.
    Ended,
    /// The agent has no task.
    NoTask,
    /// A rollout made it, and would make another one.
    OfRollout,
    /// Another program carries it out, or its store does not say whether its installer
    /// was begun.
    NotOurs,
    /// A word of another release; it is not taken back, as far as is known.
    #[serde(other)]
    Other,
}

impl TakenBack {
    /// The item of the answer: that of `upgrade_result`, and this.
    pub fn to_item(&self, result: Item) -> Item {
        result.with(self)
    }

    /// Reads an item of the answer; `None` if it is none.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
