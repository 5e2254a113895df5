//! `upgrade_changes`: the store's feed of changes for whoever watches tasks. The first item
//! of an answer says how far it goes ([`FeedPlace`]); those behind it say how tasks are now
//! ([`TaskNow`]): each that changed, in the order of the newest changes, and each that is
//! being delivered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, Revision, Task, TaskId};

use super::upgrade_progress::{DeliveryStep, agents};
use super::upgrade_timeline::TaskTimeline;
use crate::codes::UpgradeCode;
use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks how tasks are, or what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskChanges {
    /// Only what is of these; empty: of all, which needs `after`. What is no agent's id is
    /// passed over when a request is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// The changes behind this one. `None`: the newest task of each of the agents as it is
    /// now, in the order asked, as many as fit ([`AskTimeline`](super::AskTimeline)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Revision>,
    /// For how many milliseconds to wait where nothing has changed; see
    /// [`AskChanges::LONGEST_WAIT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

impl AskChanges {
    /// The most agents of one request; more are refused with code 3.
    pub const MOST: usize = 1_000;
    /// The longest wait, in milliseconds. The daemon may answer earlier: where it stops, and
    /// where as many wait already as it lets wait.
    pub const LONGEST_WAIT: u64 = 10_000;

    /// For how many milliseconds to wait: 0 to [`AskChanges::LONGEST_WAIT`].
    pub fn waits(&self) -> u64 {
        self.wait.unwrap_or_default().min(Self::LONGEST_WAIT)
    }

    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let number = |key: &'static str| match parameters.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64().map(Some);
                number.ok_or_else(|| should_be(key, "a number, 0 or more"))
            }
        };
        let named = agents(parameters);
        // A list of which nothing is an agent is not the same as none.
        let all = named.is_none();
        let asked = Self {
            agents: named.unwrap_or_default(),
            after: number("after")?.map(Revision),
            wait: number("wait")?,
        };
        match (asked.agents.len(), asked.after) {
            (0, None) => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
            (0, Some(_)) if !all => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
            (0..=Self::MOST, _) => Ok(asked),
            _ => Err(Refusal::not_recognized(format!(
                "At most {} agents at a time; none for all",
                Self::MOST
            ))),
        }
    }
}

/// How far an answer goes: its first item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPlace {
    /// Everything up to this change is told; ask for what is behind it.
    pub revision: Revision,
    /// Some changes between the one asked for and this one are not known any more: whoever
    /// follows asks how the tasks are now.
    #[serde(default)]
    pub behind: bool,
    /// There are more changes already.
    #[serde(default)]
    pub more: bool,
}

impl FeedPlace {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::default().with(self)
    }

    /// Reads the first item of an answer; `None` if it is of a task.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// A task as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskNow {
    /// Why it ended as it did, and what was seen of the agent since; without its entries.
    #[serde(flatten)]
    pub told: TaskTimeline,
    /// Where it is; `None` where that is not known, as of what another program carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<TaskPhase>,
    /// What it waits for: `file`, `turn`, or the words of whoever makes it wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What is being done, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<DeliveryStep>,
    /// Bytes of the WPK that the agent has.
    #[serde(default)]
    pub sent: u64,
    /// Bytes of the WPK; 0 until that is known.
    #[serde(default)]
    pub total: u64,
    /// For how many seconds it is or was under way, from its creation to its last change
    /// or, of one that is live, until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

impl TaskNow {
    /// Of a task, with nothing known of it yet.
    pub const fn new(agent: AgentId, task: TaskId) -> Self {
        Self::of(TaskTimeline::new(agent, task))
    }

    /// Of a task of which this is told.
    pub const fn of(told: TaskTimeline) -> Self {
        Self {
            told,
            phase: None,
            waits_for: None,
            step: None,
            sent: 0,
            total: 0,
            seconds: None,
        }
    }

    /// The same with the time that the task took, by the clock of the store.
    #[must_use]
    pub fn taking(mut self, task: &Task, now: wpk_api::UnixTime) -> Self {
        let end = match task.status.is_live() {
            true => now,
            false => task.updated.unwrap_or(task.created),
        };
        self.seconds = Some(u64::try_from(end.saturating_sub(task.created)).unwrap_or_default());
        self
    }

    /// The item of the answer: that of `upgrade_result` where the task changed, else one
    /// with its agent and id, and this.
    pub fn to_item(&self, result: Item) -> Item {
        result.with(self)
    }

    /// Reads an item of the answer; `None` if it is of no task.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// Where a task is; a word on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskPhase {
    /// Nobody has taken it yet.
    Queued,
    /// It was taken, and waits for its file, its turn, its agent.
    Waiting,
    /// The agent is being sent the file.
    Sending,
    /// The agent was told to run the installer, or is being told: its word is awaited.
    Installing,
    /// It has ended.
    Ended,
    /// A word of another release.
    #[serde(other)]
    Other,
}
