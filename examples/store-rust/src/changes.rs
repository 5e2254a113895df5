//! What one call changed: a line of the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wpk_plugin::api::{
    Change, Claimed, Confirmation, Incarnation, Revision, Standing, Task, TaskId, TimelineEntry,
    Version,
};

/// A task and what else is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) task: Task,
    /// The order as it came; nobody looks inside before a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order: Option<Value>,
    /// Whether the installer was begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begun: bool,
    /// In which run of a daemon it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun_in: Option<Incarnation>,
    /// Which version it was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Version>,
    /// Whether it was taken from the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) claimed: bool,
    /// Whether its node holds the order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) held: bool,
    /// How many crashes interrupted it.
    #[serde(default)]
    pub(crate) crashes: u32,
    /// What happened to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timeline: Vec<TimelineEntry>,
}

impl Entry {
    /// The task with its order; `None` if it has none and can never be claimed.
    pub(crate) fn claimed(&self) -> Option<Claimed> {
        let order = serde_json::from_value(self.order.clone()?);
        Some(Claimed {
            task: self.task.clone(),
            order: order.map_err(|error| error.to_string()),
            crashes: self.crashes,
        })
    }

    /// Whether the agent's version is awaited.
    pub(crate) fn is_awaited(&self) -> bool {
        self.task.confirmation == Some(Confirmation::Awaited)
    }

    /// What decides about its moves.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            ours: self.order.is_some(),
            begun: self.begun,
        }
    }
}

/// One line: applied as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    /// The highest id ever given, so that none is given again after a purge.
    pub(crate) last: i64,
    /// The newest run of a daemon, so that the next gets a higher number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<Incarnation>,
    /// Tasks as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) put: Vec<Entry>,
    /// Tasks that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gone: Vec<TaskId>,
    /// What the feed tells of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) feed: Vec<Change>,
    /// How far readers of the feed have come.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) places: BTreeMap<String, Revision>,
}

impl Changes {
    /// The tasks `touched`, as `entries` has them now.
    pub(crate) fn of(
        last: i64,
        touched: impl Iterator<Item = TaskId>,
        entries: &BTreeMap<TaskId, Entry>,
    ) -> Self {
        let mut changes = Self {
            last,
            ..Self::default()
        };
        for id in touched {
            match entries.get(&id) {
                Some(entry) => changes.put.push(entry.clone()),
                None => changes.gone.push(id),
            }
        }
        changes
    }

    /// Whether the line would say nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.incarnation.is_none()
            && self.put.is_empty()
            && self.gone.is_empty()
            && self.feed.is_empty()
            && self.places.is_empty()
    }
}
