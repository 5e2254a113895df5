//! `rollout_list`: the rollouts, the one that was applied last first; and an item for one
//! of them, which is what commands that change it answer with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::UnixTime;

use super::read;
use super::state::{RolloutState, StateCounts};
use super::words::{Words, answers};
use crate::parameters::flag;
use crate::refusal::Refusal;

/// A page of the rollouts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListRollouts {
    /// Also those that were cancelled or superseded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only those with a lower [`ListedRollout::order`]; `None`: from the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The most of the page; see [`ListRollouts::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl ListRollouts {
    /// How many the page may have: 1 to [`LONGEST_PAGE`](super::LONGEST_PAGE).
    pub fn page(&self) -> usize {
        read::page(self.limit)
    }

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            all: flag(parameters, "all")?,
            before: read::number(parameters, "before")?,
            limit: read::limit(parameters)?,
        })
    }
}

/// A rollout of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRollout {
    /// Its name.
    pub name: Words,
    /// 1 for the first of its name; raised when one takes the place of another.
    #[serde(default)]
    pub generation: u32,
    /// Its place among all: of two that want one agent, the lower has it.
    #[serde(default)]
    pub order: u64,
    /// Its state.
    #[serde(default)]
    pub state: RolloutState,
    /// Why it is halted, or cannot start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// The version it goes to; `None` where only a file is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Words>,
    /// The file that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Words>,
    /// When it was applied first, in seconds since 1970 UTC.
    #[serde(default)]
    pub applied: UnixTime,
    /// The wave that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Words>,
    /// Its agents by their states.
    #[serde(default)]
    pub counts: StateCounts,
    /// Its deadline is over, and so many agents are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<u64>,
    /// In the answer to a command that names agents: how many of them it changed
    /// something for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
}

answers!(ListedRollout);
