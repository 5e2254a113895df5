//! `rollout_history`: what happened to rollouts, newest first, and who did it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::UnixTime;

use super::read;
use super::words::{Words, answers};
use crate::refusal::Refusal;

/// A page of what happened. An empty page is the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskHistory {
    /// Only of rollouts of this name; `None`: of all, and of releases and holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only events with a lower [`HistoryEvent::number`]; `None`: from the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The most of the page; see [`AskHistory::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl AskHistory {
    /// How many the page may have: 1 to [`LONGEST_PAGE`](super::LONGEST_PAGE).
    pub fn page(&self) -> usize {
        read::page(self.limit)
    }

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            name: read::some_name(parameters)?,
            before: read::number(parameters, "before")?,
            limit: read::limit(parameters)?,
        })
    }
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// Its place: later events have higher numbers.
    pub number: u64,
    /// When, in seconds since 1970 UTC.
    pub at: UnixTime,
    /// In which rollout; `None`: it is about releases or holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Words>,
    /// Which of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Who did it; `None`: the planner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Words>,
    /// What, in one word: `applied`, `opened`, `passed`, `halted`, `paused`, ...
    #[serde(default)]
    pub what: Words,
    /// The rest, in words.
    #[serde(default)]
    pub words: Words,
}

answers!(HistoryEvent);
