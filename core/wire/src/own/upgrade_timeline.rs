//! `upgrade_timeline`: what happened to tasks, step by step, and why those that
//! failed did: the words of whoever said it, which `upgrade_result` has no member
//! for. An item is that of `upgrade_result` with the members of [`TaskTimeline`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, Confirmation, TaskId, TimelineEntry};

use super::upgrade_progress::agents;
use crate::codes::UpgradeCode;
use crate::parameters::should_be;
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks for the newest task of each of these agents, and for these tasks.
///
/// An answer has as many items as fit ([`AskTimeline::LONGEST_ANSWER`]), in the
/// order asked, agents first, at least one; who misses some asks for those again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AskTimeline {
    /// What is no agent's id is passed over when a request is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// What is no number is passed over when a request is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskId>,
    /// How many entries of each timeline are wanted, the newest; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
}

impl AskTimeline {
    /// The most agents and tasks of one request; more are refused with code 3.
    pub const MOST: usize = 1_000;
    /// An answer that has reached this many bytes gets no further item.
    pub const LONGEST_ANSWER: usize = 4 << 20;

    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let tasks = |ids: &Vec<Value>| ids.iter().filter_map(Value::as_i64).map(TaskId).collect();
        let asked = Self {
            agents: agents(parameters).unwrap_or_default(),
            tasks: (parameters.get("tasks").and_then(Value::as_array))
                .map(tasks)
                .unwrap_or_default(),
            entries: match parameters.get("entries") {
                None | Some(Value::Null) => None,
                Some(value) => Some(
                    value
                        .as_u64()
                        .and_then(|entries| usize::try_from(entries).ok())
                        .ok_or_else(|| should_be("entries", "a number, 0 or more"))?,
                ),
            },
        };
        match asked.agents.len() + asked.tasks.len() {
            0 => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
            1..=Self::MOST => Ok(asked),
            _ => Err(Refusal::not_recognized(format!(
                "At most {} agents and tasks at a time",
                Self::MOST
            ))),
        }
    }
}

/// What happened to a task. Its status stands in the item itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTimeline {
    /// The agent.
    pub agent: AgentId,
    /// The task.
    pub task_id: TaskId,
    /// Whether the agent's word came after the task had timed out.
    #[serde(default)]
    pub late: bool,
    /// What is known of the agent's version after the upgrade; `None` where nothing
    /// is, also for a word of another release. On the wire a word, and what was
    /// `seen` instead of the version that was sent.
    #[serde(flatten, with = "words")]
    pub confirmation: Option<Confirmation>,
    /// For a task that failed or timed out: the entry that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<TimelineLine>,
    /// The newest entries, oldest first, as many as were asked for.
    #[serde(default)]
    pub timeline: Vec<TimelineLine>,
    /// How many older entries there are.
    #[serde(default)]
    pub older: usize,
}

/// An entry of a timeline, with its time as the other times of a task are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineLine {
    /// `YYYY/MM/DD HH:MM:SS`, in the time zone of `create_time`.
    #[serde(default)]
    pub time: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: TimelineEntry,
}

impl TaskTimeline {
    /// Of a task, with nothing known of it yet.
    pub const fn new(agent: AgentId, task_id: TaskId) -> Self {
        Self {
            agent,
            task_id,
            late: false,
            confirmation: None,
            cause: None,
            timeline: Vec::new(),
            older: 0,
        }
    }

    /// The item of the answer: that of `upgrade_result`, and this.
    pub fn to_item(&self, result: Item) -> Item {
        result.with(self)
    }

    /// Reads an item of the answer; `None` if it is of no task.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// A confirmation as two members that are both texts.
mod words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use wpk_api::Confirmation;

    #[derive(Serialize, Deserialize)]
    struct Words {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmation: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(
        confirmation: &Option<Confirmation>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let known = confirmation.as_ref();
        let (word, seen) = (
            known.map(Confirmation::as_str),
            known.and_then(Confirmation::seen),
        );
        let (confirmation, seen) = (word.map(str::to_owned), seen.map(str::to_owned));
        Words { confirmation, seen }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Confirmation>, D::Error> {
        let Words { confirmation, seen } = Words::deserialize(deserializer)?;
        Ok(confirmation.and_then(|word| Confirmation::from_words(&word, seen.as_deref())))
    }
}
