//! `rollout_status`: one rollout as a whole. What it says of single agents is bounded:
//! all of them are in `rollout_agents`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId, UnixTime};

use super::read;
use super::state::{RolloutState, StateCounts};
use super::words::{Tallied, Words, answers, spoken};
use crate::refusal::Refusal;

/// Asks for a rollout, the newest of its name. Its answer is one [`StatusOfRollout`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskRollout {
    /// Its name.
    pub name: String,
    /// How many of the newest failures are wanted; see [`AskRollout::failures`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<usize>,
}

impl AskRollout {
    /// The most failures that are told.
    pub const MOST_FAILURES: usize = 200;

    /// How many failures are told: absent 10, at most [`AskRollout::MOST_FAILURES`].
    pub fn failures(&self) -> usize {
        self.failures.unwrap_or(10).min(Self::MOST_FAILURES)
    }

    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let failures = read::number(parameters, "failures")?;
        Ok(Self {
            name: read::name(parameters)?,
            failures: failures.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        })
    }
}

/// A rollout. Times are seconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusOfRollout {
    /// Its name.
    pub name: Words,
    /// 1 for the first of its name.
    #[serde(default)]
    pub generation: u32,
    /// Its state.
    #[serde(default)]
    pub state: RolloutState,
    /// Why it is halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// The version it goes to; `None` where only a file is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Words>,
    /// The file that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Words>,
    /// When it was applied first.
    #[serde(default)]
    pub applied: UnixTime,
    /// When it may start, if that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<UnixTime>,
    /// When it should be through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixTime>,
    /// The deadline is over, and so many agents are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<u64>,
    /// Its agents by their states.
    #[serde(default)]
    pub counts: StateCounts,
    /// Its waves.
    #[serde(default)]
    pub waves: Vec<StatusOfWave>,
    /// The newest failures, newest first.
    #[serde(default)]
    pub failures: Vec<FailedAgent>,
    /// Agents that failed, by the cause.
    #[serde(default)]
    pub causes: Tallied,
    /// What happens next by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextEvent>,
    /// Why it cannot start, with what to change.
    #[serde(default)]
    pub problems: Vec<Words>,
    /// Agents that it selects and that belong to rollouts applied before it, by rollout.
    #[serde(default)]
    pub elsewhere: Tallied,
    /// Who plans it.
    #[serde(default)]
    pub planner: Planner,
    /// When this was so, by the manager's clock.
    #[serde(default)]
    pub now: UnixTime,
}

spoken! {
    /// Whether a wave's gate lets the next one open.
    GateWord {
        /// Its wave is not open.
        NotOpen = "not_open",
        /// It waits for something.
        Waits = "waits",
        /// It passes now.
        Passes = "passes",
        /// It was passed.
        Passed = "passed",
        /// There are more failures than may be.
        Exceeded = "exceeded",
    }
}

/// A wave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusOfWave {
    /// Its name.
    pub name: Words,
    /// How many members it has; of one that is not open, how many it would have now.
    #[serde(default)]
    pub members: u64,
    /// They by their states.
    #[serde(default)]
    pub counts: StateCounts,
    /// Members that were begun, or failed.
    #[serde(default)]
    pub begun: u64,
    /// Members that failed, also those that succeeded when they were tried again.
    #[serde(default)]
    pub failed: u64,
    /// How many may.
    #[serde(default)]
    pub may_fail: u64,
    /// Whether no more are in flight than may fail, plus one.
    #[serde(default)]
    pub strict: bool,
    /// Its gate.
    #[serde(default)]
    pub gate: GateWord,
    /// What it waits for, or why it passes; empty where its word says all.
    #[serde(default)]
    pub gate_words: Words,
    /// When it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<UnixTime>,
    /// When its gate was passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<UnixTime>,
    /// How long each success is watched, in seconds.
    #[serde(default)]
    pub soak: u64,
}

/// An agent that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAgent {
    /// Its id.
    pub agent: AgentId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// Its wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<Words>,
    /// When it failed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixTime>,
    /// Why.
    #[serde(default)]
    pub cause: Words,
    /// How often it is tried again.
    #[serde(default)]
    pub tries_left: u32,
    /// The task that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// What happens next by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextEvent {
    /// When.
    pub at: UnixTime,
    /// What: a window opens, a soak ends.
    #[serde(default)]
    pub what: Words,
}

/// Who plans the rollouts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planner {
    /// The manager node; `None`: none does now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Words>,
    /// When the plan that this tells of was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<UnixTime>,
    /// Since when something changed that no plan knows of yet; `None`: it is up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<UnixTime>,
    /// Why no plan can be made, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Words>,
}

answers!(StatusOfRollout);
