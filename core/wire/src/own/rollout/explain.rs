//! `rollout_explain`: one agent in a rollout: its state, why, and what would change it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId, UnixTime};

use super::read;
use super::state::AgentState;
use super::words::Words;
use crate::codes::UpgradeCode;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks for an agent in a rollout. Its answer is one [`Explained`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainAgent {
    /// The rollout.
    pub name: String,
    /// The agent.
    pub agent: AgentId,
}

impl ExplainAgent {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            name: read::name(parameters)?,
            agent: read::agent(parameters)?,
        })
    }
}

/// An agent in a rollout. Times are seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The agent.
    pub agent: AgentId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// The rollout that was asked for.
    #[serde(default)]
    pub rollout: Words,
    /// 1 for the first of its name.
    #[serde(default)]
    pub generation: u32,
    /// Its state.
    #[serde(default)]
    pub state: AgentState,
    /// Why it is in it.
    #[serde(default)]
    pub reason: Words,
    /// What would change that, one thing each.
    #[serde(default)]
    pub changes: Vec<Words>,
    /// The version it was seen to run last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Words>,
    /// Whether it is connected, as the directory says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Words>,
    /// Its wave; `None` while it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Words>,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteOfAgent>,
    /// The versions it goes through, the target last; empty where it runs that, or there
    /// is no way.
    #[serde(default)]
    pub hops: Vec<Words>,
    /// Its attempts in this rollout, the newest [`Explained::MOST_ATTEMPTS`], oldest first.
    #[serde(default)]
    pub attempts: Vec<AttemptOfAgent>,
}

impl Explained {
    /// The most attempts that are told.
    pub const MOST_ATTEMPTS: usize = 100;

    /// The item of the answer; has the newest [`Explained::MOST_ATTEMPTS`] attempts.
    pub fn to_item(&self) -> Item {
        let item = Item::upgrade(UpgradeCode::Success, self.agent);
        let older = self.attempts.len().saturating_sub(Self::MOST_ATTEMPTS);
        if older == 0 {
            return item.with(self);
        }
        let mut short = self.clone();
        short.attempts.drain(..older);
        item.with(&short)
    }

    /// Reads the item of the answer; `None` if it is of no agent.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// The site of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteOfAgent {
    /// Its name.
    pub name: Words,
    /// The time zone of its windows.
    #[serde(default)]
    pub time_zone: Words,
    /// When installers may begin; absent: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Words>>,
    /// Whether they may now.
    #[serde(default)]
    pub open: bool,
    /// When that changes; `None`: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<UnixTime>,
}

/// One hop of an agent, tried once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptOfAgent {
    /// The task.
    pub task_id: TaskId,
    /// The version of this hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Words>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<UnixTime>,
    /// Whether the file lies at the agent.
    #[serde(default)]
    pub staged: bool,
    /// When its installer was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<UnixTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<UnixTime>,
    /// How it stands or ended, in words.
    #[serde(default)]
    pub outcome: Words,
    /// When the agent was seen to run the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<UnixTime>,
    /// When its soak was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soaked: Option<UnixTime>,
}
