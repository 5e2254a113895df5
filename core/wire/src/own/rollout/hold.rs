//! `agent_hold`, `agent_unhold`, `agent_holds`: agents that no rollout touches; and
//! `agent_labels`: labels that the manager's store keeps, for directories that have none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, Labels, UnixTime};

use super::read;
use super::words::Words;
use crate::codes::UpgradeCode;
use crate::own::agent_change::labels;
use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// No rollout begins these until they are let go. The answer is one [`Touched`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldAgents {
    /// 1 to [`MOST_AGENTS`](super::MOST_AGENTS).
    pub agents: Vec<AgentId>,
    /// Why; may be empty, at most [`LONGEST_REASON`](super::LONGEST_REASON) bytes.
    pub reason: String,
}

impl HoldAgents {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            agents: read::agents(parameters)?,
            reason: read::reason(parameters)?,
        })
    }
}

/// They are held no more. The answer is one [`Touched`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnholdAgents {
    /// 1 to [`MOST_AGENTS`](super::MOST_AGENTS).
    pub agents: Vec<AgentId>,
}

impl UnholdAgents {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        read::agents(parameters).map(|agents| Self { agents })
    }
}

/// Labels are set and taken away. The answer is one [`Touched`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelAgents {
    /// 1 to [`MOST_AGENTS`](super::MOST_AGENTS).
    pub agents: Vec<AgentId>,
    /// Labels to set, with the limits of `agent_label`.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub set: Labels,
    /// Keys of labels to take away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

impl LabelAgents {
    /// The most labels that one request sets, and the most that it takes away.
    pub const MOST: usize = 32;

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let set = labels(parameters, "set")?;
        let remove: Vec<String> = match parameters.get("remove") {
            None => Vec::new(),
            Some(keys) => {
                Vec::deserialize(keys).map_err(|_| should_be("remove", "a list of strings"))?
            }
        };
        if set.is_empty() && remove.is_empty() {
            return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
        }
        if set.len().max(remove.len()) > Self::MOST {
            return Err(Refusal::not_recognized("At most 32 labels at a time"));
        }
        let agents = read::agents(parameters)?;
        Ok(Self {
            agents,
            set,
            remove,
        })
    }
}

/// What a command that names agents did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// For how many it changed something.
    pub changed: u64,
    /// Agents that nobody knows; the first [`LONGEST_PAGE`](super::LONGEST_PAGE).
    #[serde(default)]
    pub not_known: Vec<AgentId>,
}

impl Touched {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        let mut short = self.clone();
        short.not_known.truncate(read::LONGEST_PAGE);
        Item::default().with(&short)
    }

    /// Reads the item of the answer; `None` if it is none of these commands.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// A page of the agents that are held, ascending by id. An empty page is the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListHolds {
    /// Only agents with higher ids; `None`: from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<AgentId>,
    /// The most of the page; see [`ListHolds::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl ListHolds {
    /// How many the page may have: 1 to [`LONGEST_PAGE`](super::LONGEST_PAGE).
    pub fn page(&self) -> usize {
        read::page(self.limit)
    }

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            after: read::after(parameters)?,
            limit: read::limit(parameters)?,
        })
    }
}

/// An agent that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAgent {
    /// The agent.
    pub agent: AgentId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// Why; empty where nothing was said.
    #[serde(default)]
    pub reason: Words,
    /// Since when, in seconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixTime>,
    /// Who held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Words>,
}

impl HeldAgent {
    /// An item of the answer.
    pub fn to_item(&self) -> Item {
        Item::upgrade(UpgradeCode::Success, self.agent).with(self)
    }

    /// Reads an item of the answer; `None` if it is of no agent.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
