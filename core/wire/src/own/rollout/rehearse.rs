//! `rollout_rehearse`: a definition played through with the agents that there are and
//! outcomes that are made up. Nothing is sent to anybody.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::UnixTime;

use super::read;
use super::state::{RolloutState, StateCounts};
use super::words::{SiteRate, Words, spoken};
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// What is played. Its answer is one [`Rehearsed`]. Absent parameters are the daemon's
/// defaults: nothing fails, nobody is away, 10 MiB at 20 Mbit/s, a minute to install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RehearseRollout {
    /// The text of the file, TOML.
    pub definition: String,
    /// How many installations fail: `2%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<String>,
    /// How many agents are away half of the time: `10%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<String>,
    /// How fast the link of one agent is: `20Mbit/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
    /// How long the file is, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// How long an installation takes until the new version is seen, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_time: Option<u64>,
    /// Which fleet is made up: the same number makes the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl RehearseRollout {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            definition: read::definition(parameters)?,
            failure_rate: read::short(parameters, "failure_rate")?,
            offline: read::short(parameters, "offline")?,
            speed: read::short(parameters, "speed")?,
            file_size: read::number(parameters, "file_size")?,
            install_time: read::number(parameters, "install_time")?,
            seed: read::number(parameters, "seed")?,
        })
    }
}

/// What a rehearsal came to. Times are seconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// When it began.
    pub began: UnixTime,
    /// What happened, in order; the first [`Rehearsed::MOST_EVENTS`].
    #[serde(default)]
    pub events: Vec<RehearsedEvent>,
    /// When every rollout had converged; `None` if one was halted, or a year was not
    /// enough.
    #[serde(default)]
    pub ended: Option<UnixTime>,
    /// The most agents that were down at once.
    #[serde(default)]
    pub most_down: u64,
    /// The most bytes per second that went to each site, about.
    #[serde(default)]
    pub peak_bandwidth: Vec<SiteRate>,
    /// Installations that failed.
    #[serde(default)]
    pub failed: u64,
    /// How many agents a bad release can break in each wave, at most.
    #[serde(default)]
    pub bounds: Vec<RehearsedBound>,
    /// How every rollout ended.
    #[serde(default)]
    pub rollouts: Vec<RehearsedRollout>,
    /// What it rests on: the speed of a link, the time an installation takes.
    #[serde(default)]
    pub assumptions: Vec<Words>,
}

impl Rehearsed {
    /// The most events that are told.
    pub const MOST_EVENTS: usize = 1_000;

    /// The item of the answer; has the first [`Rehearsed::MOST_EVENTS`] events.
    pub fn to_item(&self) -> Item {
        if self.events.len() <= Self::MOST_EVENTS {
            return Item::default().with(self);
        }
        let mut short = self.clone();
        short.events.truncate(Self::MOST_EVENTS);
        Item::default().with(&short)
    }

    /// Reads the item of the answer; `None` if it is none of this command.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

spoken! {
    /// What happened in a rehearsal.
    RehearsedWhat {
        /// A wave opened.
        Opened = "opened",
        /// A wave's gate was passed.
        Passed = "passed",
        /// The rollout was halted.
        Halted = "halted",
    }
}

/// Something that happened in a rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedEvent {
    /// When.
    pub at: UnixTime,
    /// In which rollout.
    pub rollout: Words,
    /// What.
    #[serde(default)]
    pub what: RehearsedWhat,
    /// The wave that opened or passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Words>,
    /// How many agents are in the wave that opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u64>,
    /// Why it passed or was halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
}

/// How many agents of a wave a bad release can break.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedBound {
    /// The rollout.
    pub rollout: Words,
    /// The wave.
    pub wave: Words,
    /// So many at most.
    pub most: u64,
}

/// How a rollout ended in a rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedRollout {
    /// Its name.
    pub name: Words,
    /// Its state.
    #[serde(default)]
    pub state: RolloutState,
    /// Why it is halted, or could not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// Its agents by their states.
    #[serde(default)]
    pub counts: StateCounts,
}
