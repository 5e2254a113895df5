//! `upgrade_tasks`: the tasks of all agents, newest first, page by page: what runs or waits,
//! and what became of the rest. An item is that of `upgrade_timeline` without entries, with
//! the members of [`ListedTask`]; where there may be more, the last one is a [`NextPage`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, TaskId, TaskKind, TaskPlace, UnixTime};

use super::rollout::Words;
use super::upgrade_progress::DeliveryStep;
use crate::parameters::{self, should_be};
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// Asks for a page of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListTasks {
    /// Only tasks behind this place; `None`: from the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<TaskPlace>,
    /// The most tasks of the page; see [`ListTasks::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only these.
    #[serde(skip_serializing_if = "is_all")]
    pub only: TaskKind,
    /// Only tasks that were created then or later, in seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixTime>,
    /// Only tasks of these agents, at most [`ListTasks::MOST_AGENTS`]; empty: of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// Only tasks of this node, a name of 1 to [`ListTasks::LONGEST_NODE`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands it by reference"
)]
fn is_all(only: &TaskKind) -> bool {
    *only == TaskKind::All
}

impl ListTasks {
    /// The most tasks in one answer.
    pub const LONGEST_PAGE: usize = 1_000;
    /// The most agents that one request names.
    pub const MOST_AGENTS: usize = 1_000;
    /// The longest name of a node, in bytes.
    pub const LONGEST_NODE: usize = 255;

    /// How many tasks the page may have: 1 to [`ListTasks::LONGEST_PAGE`].
    pub fn page(&self) -> usize {
        let limit = self.limit.unwrap_or(Self::LONGEST_PAGE);
        limit.clamp(1, Self::LONGEST_PAGE)
    }

    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let limit = parameters::number(parameters, "limit")?;
        let node = parameters::text(parameters, "node")?;
        if !matches!(
            node.as_ref().map(String::len),
            None | Some(1..=Self::LONGEST_NODE)
        ) {
            return Err(should_be("node", "the name of a node: 1 to 255 bytes"));
        }
        let agents = match parameters.get("agents") {
            None | Some(Value::Null) => Vec::new(),
            Some(_) => parameters::agents(parameters, Self::MOST_AGENTS)?,
        };
        Ok(Self {
            before: match parameters.get("before") {
                None | Some(Value::Null) => None,
                Some(place) => Some(
                    TaskPlace::deserialize(place)
                        .map_err(|_| should_be("before", "the \"next\" of a page"))?,
                ),
            },
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            only: match parameters.get("only") {
                None => TaskKind::All,
                Some(word) => TaskKind::deserialize(word)
                    .map_err(|_| should_be("only", "\"all\", \"live\" or \"troubled\""))?,
            },
            since: match parameters.get("since") {
                None | Some(Value::Null) => None,
                Some(time) => {
                    let time = time.as_i64().map(Some);
                    time.ok_or_else(|| should_be("since", "seconds since 1970 UTC"))?
                }
            },
            agents,
            node,
        })
    }
}

/// What a task of the list has beside the members of `upgrade_timeline`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTask {
    /// The task.
    pub task_id: TaskId,
    /// When it was created, in seconds since 1970 UTC.
    pub created: UnixTime,
    /// When its status last changed; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<UnixTime>,
    /// The agent's name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// What is being done, where the daemon that answers delivers it right now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<DeliveryStep>,
    /// Bytes of the WPK that the agent has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// Bytes of the WPK, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl ListedTask {
    /// The item of the answer.
    pub fn to_item(&self, task: Item) -> Item {
        task.with_also(self)
    }

    /// Reads an item of the answer; `None` if it is no task.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}

/// Where the next page begins. The page before it may have no task at all: so many were
/// looked at, and none was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextPage {
    /// [`ListTasks::before`] of the next page.
    pub next: TaskPlace,
}

impl NextPage {
    /// The item of the answer.
    pub fn to_item(self) -> Item {
        Item::default().with(&self)
    }

    /// Reads an item of the answer; `None` if it is a task.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
