//! `rollout_plan` and `rollout_apply`: what a definition would do, and doing it, only as
//! it was planned.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::UnixTime;

use super::read;
use super::words::{SiteRate, Tallied, Words, answers, spoken};
use crate::refusal::Refusal;

/// What a definition would do. Its answer is one [`Planned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanRollout {
    /// The text of the file, TOML, at most [`LONGEST_DEFINITION`](super::LONGEST_DEFINITION)
    /// bytes.
    pub definition: String,
}

impl PlanRollout {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        read::definition(parameters).map(|definition| Self { definition })
    }
}

/// Apply a definition as it was planned. Its answer has a
/// [`ListedRollout`](super::ListedRollout) for each rollout of the definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplyRollout {
    /// The same text.
    pub definition: String,
    /// The digest that was told with its plan: 64 hexadecimal digits.
    pub digest: String,
}

impl ApplyRollout {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self {
            definition: read::definition(parameters)?,
            digest: read::digest(parameters)?,
        })
    }
}

/// What a definition would do, if it was applied now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// By which it is applied only as it was planned: 64 hexadecimal digits.
    pub digest: String,
    /// Its rollouts, in the order of the file.
    #[serde(default)]
    pub rollouts: Vec<PlannedRollout>,
    /// Its sites take the place of others.
    #[serde(default)]
    pub replaces_sites: bool,
    /// Its releases take the place of others.
    #[serde(default)]
    pub replaces_releases: bool,
    /// The most bytes per second that would go to each site.
    #[serde(default)]
    pub peak_bandwidth: Vec<SiteRate>,
    /// When the last of its rollouts would be through at the earliest, in seconds since
    /// 1970 UTC, if nothing fails; `None`: it would not be.
    #[serde(default)]
    pub earliest_end: Option<UnixTime>,
    /// Why it would not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_end: Option<Words>,
    /// What that rests on: the speed of a link, the time an installation takes.
    #[serde(default)]
    pub assumptions: Vec<Words>,
}

spoken! {
    /// What applying a definition does to a rollout.
    PlannedChange {
        /// There is none of its name that is not over.
        Begins = "begins",
        /// It is changed where it stands.
        Changes = "changes",
        /// It takes the place of one that runs, with waves of its own.
        Replaces = "replaces",
        /// Nothing.
        Unchanged = "unchanged",
    }
}

/// What a definition would do in one rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRollout {
    /// Its name.
    pub name: Words,
    /// 1 for the first of its name; raised when one takes the place of another.
    #[serde(default)]
    pub generation: u32,
    /// What would be done to it.
    #[serde(default)]
    pub what: PlannedChange,
    /// The version it goes to; `None` where only a file is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Words>,
    /// The file that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Words>,
    /// Its waves.
    #[serde(default)]
    pub waves: Vec<PlannedWave>,
    /// Agents that are to be upgraded, by site.
    #[serde(default)]
    pub sites: Tallied,
    /// The same by platform.
    #[serde(default)]
    pub platforms: Tallied,
    /// Agents that cannot be upgraded, by the reason.
    #[serde(default)]
    pub unsupported: Tallied,
    /// Agents that are to be upgraded and not connected.
    #[serde(default)]
    pub unreachable: u64,
    /// Agents that are left out, held, or run the target already.
    #[serde(default)]
    pub left_out: u64,
    /// Agents that belong to rollouts applied before it, by rollout.
    #[serde(default)]
    pub elsewhere: Tallied,
    /// Why it could not start, with what to change.
    #[serde(default)]
    pub problems: Vec<Words>,
}

/// A wave as it would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedWave {
    /// Its name.
    pub name: Words,
    /// How many agents are in it, or would be if it opened now.
    pub agents: u64,
    /// How many of them may fail.
    #[serde(default)]
    pub may_fail: u64,
    /// Whether no more are in flight than may fail, plus one.
    #[serde(default)]
    pub strict: bool,
}

answers!(Planned);
