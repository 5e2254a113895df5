//! `rollout_agents`: the agents of a rollout, page by page, ascending by id. An empty page
//! is the end.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId};

use super::read;
use super::state::AgentState;
use super::words::Words;
use crate::codes::UpgradeCode;
use crate::parameters::{should_be, text};
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// A page of the agents of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListMembers {
    /// The rollout.
    pub name: String,
    /// Only agents in this state; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<AgentState>,
    /// Only agents with higher ids; `None`: from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<AgentId>,
    /// The most of the page; see [`ListMembers::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl ListMembers {
    /// How many the page may have: 1 to [`LONGEST_PAGE`](super::LONGEST_PAGE).
    pub fn page(&self) -> usize {
        read::page(self.limit)
    }

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let state = match text(parameters, "state")? {
            None => None,
            Some(word) => Some(
                AgentState::from_word(&word)
                    .filter(|state| *state != AgentState::Other)
                    .ok_or_else(|| should_be("state", "a state of agents, such as \"failed\""))?,
            ),
        };
        Ok(Self {
            name: read::name(parameters)?,
            state,
            after: read::after(parameters)?,
            limit: read::limit(parameters)?,
        })
    }
}

/// An agent of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutMember {
    /// The agent.
    pub agent: AgentId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// Its state.
    #[serde(default)]
    pub state: AgentState,
    /// Why it is in it.
    #[serde(default)]
    pub reason: Words,
    /// Its wave; `None` while it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Words>,
    /// Its newest task in this rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

impl RolloutMember {
    /// An item of the answer.
    pub fn to_item(&self) -> Item {
        Item {
            task_id: self.task_id,
            ..Item::upgrade(UpgradeCode::Success, self.agent)
        }
        .with(self)
    }

    /// Reads an item of the answer; `None` if it is of no agent.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
