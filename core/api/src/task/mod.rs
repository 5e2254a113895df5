//! Tasks: their stored states and the moves between them. Every store uses this
//! one table of legal moves (PROTOCOL.md, section 3).

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AgentId, TaskId, UnixTime, Version};

/// The stored status of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// A node is delivering, or the agent's word is awaited.
    InProgress,
    /// The agent reported success.
    Done,
    /// The delivery failed or the agent reported failure.
    Failed,
    /// Taken back before it began.
    Cancelled,
    /// No word within the task time-out.
    Timeout,
    /// Delivered to a version that never reports.
    Legacy,
    /// A word in the table that this version does not know; it has no legal moves.
    Other(String),
}

impl Status {
    /// The seven known statuses.
    pub const KNOWN: [Status; 7] = [
        Self::Pending,
        Self::InProgress,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Timeout,
        Self::Legacy,
    ];

    /// The word in the table.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "In progress",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Timeout => "Timeout",
            Self::Legacy => "Legacy",
            Self::Other(word) => word,
        }
    }

    /// Reads the word in the table.
    pub fn from_word(word: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|status| status.as_str() == word)
            .unwrap_or_else(|| Self::Other(word.to_owned()))
    }

    /// Whether a task in this status keeps its agent from being upgraded again.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }

    /// Whether a task may go from `self` to `to` (PROTOCOL.md, section 3).
    pub const fn may_become(&self, to: &Status, standing: Standing, by: Mover) -> bool {
        if matches!(by, Mover::Operator) {
            // What others carry out may be begun unseen, and a begun installer is never
            // taken back.
            return self.is_live()
                && matches!(to, Self::Cancelled)
                && standing.ours
                && !standing.begun;
        }
        match (self, to) {
            (Self::Pending, Self::InProgress | Self::Cancelled)
            | (Self::InProgress, Self::Legacy | Self::Timeout) => true,
            // An agent cannot know how an installer ended that was not begun: what
            // it says is about an upgrade before this one.
            (Self::InProgress, Self::Done | Self::Failed) => {
                matches!(by, Mover::Delivery) || !standing.ours || standing.begun
            }
            // Its word is better than our silence, however late.
            (Self::Timeout, Self::Done | Self::Failed) => {
                matches!(by, Mover::Report) && standing.ours && standing.begun
            }
            (Self::InProgress, Self::Cancelled) => standing.ours && !standing.begun,
            _ => false,
        }
    }

    /// Whether the move to `self` is open only to the node that owns the task, unless it
    /// is an [operator](Mover::Operator)'s. Reports of an agent may reach any node.
    pub const fn needs_same_node(&self) -> bool {
        matches!(self, Self::InProgress | Self::Legacy | Self::Cancelled)
    }
}

/// What of a task decides about its moves beside its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Standing {
    /// It has, or had, an [`Order`](crate::Order): a node of ours carries it out.
    pub ours: bool,
    /// Its installer was begun
    /// ([`TaskStore::begin_installer`](crate::TaskStore::begin_installer)).
    pub begun: bool,
}

impl Standing {
    /// Whether a task of `node` is carried out by the daemon that `entered` under that name
    /// ([`TaskStore::enter`](crate::TaskStore::enter); `None`: it never entered, and its word
    /// is taken for that of any node). Of what is ours only that one is to claim, to begin,
    /// to touch and to cancel it, and to move it as [`Mover::Delivery`]. What is not ours
    /// nobody here carries out, and whoever names its node moves it.
    pub fn is_carried_out_by(self, node: &str, entered: Option<&str>) -> bool {
        !self.ours || entered.is_none_or(|entered| entered == node)
    }
}

/// Who moves a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mover {
    /// The node that carries it out, or its task manager.
    Delivery,
    /// An agent's word, whoever passes it on.
    Report,
    /// Somebody who takes it back, at whichever node.
    Operator,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a task carries out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// `upgrade`: from a repository.
    Upgrade,
    /// `upgrade_custom`: from a file.
    UpgradeCustom,
    /// A command in the table that this version does not know.
    Other(String),
}

impl Command {
    /// The word on the wire and in the table.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Upgrade => "upgrade",
            Self::UpgradeCustom => "upgrade_custom",
            Self::Other(word) => word,
        }
    }

    /// Reads the word in the table.
    pub fn from_word(word: &str) -> Self {
        match word {
            "upgrade" => Self::Upgrade,
            "upgrade_custom" => Self::UpgradeCustom,
            other => Self::Other(other.to_owned()),
        }
    }
}

macro_rules! as_word {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|word| Self::from_word(&word))
            }
        }
        impl FromStr for $type {
            type Err = std::convert::Infallible;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Ok(Self::from_word(word))
            }
        }
    };
}
as_word!(Status);
as_word!(Command);

/// One row of the task table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Row id.
    pub id: TaskId,
    /// The agent to upgrade.
    pub agent: AgentId,
    /// The node that owns the task.
    pub node: String,
    /// Who asked; `upgrade_module` for all tasks of the upgrade socket.
    pub module: String,
    /// What it carries out.
    pub command: Command,
    /// When it was created.
    pub created: UnixTime,
    /// When its status last changed; `None` until then.
    pub updated: Option<UnixTime>,
    /// Its status.
    pub status: Status,
    /// Why it failed, or any text stored with the last change.
    pub error_msg: Option<String>,
    /// For a task of ours that is Done or Legacy: whether the agent's version was
    /// seen to be the one it was sent. `None` for every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

impl Task {
    /// Whether two rows are one task, whatever their ids and what has become of it since:
    /// agent, node, module, command and time of creation are the same. Ids can differ
    /// where two programs write into one table.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.agent == other.agent
            && self.created == other.created
            && self.node == other.node
            && self.module == other.module
            && self.command == other.command
    }
}

/// Whether the version that an agent reported after a successful upgrade is the
/// one it was sent (PROTOCOL.md, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// It is awaited.
    Awaited,
    /// It is.
    Confirmed,
    /// It is not, as far as was seen; what was seen instead, and when.
    Unconfirmed(String),
    /// Which version was sent is not known, or nobody tells versions.
    NotChecked,
}

impl Confirmation {
    /// What a task of ours begins with when it becomes `to`: the one rule of all
    /// stores. `target` is what its installer was begun with
    /// ([`TaskStore::begin_installer`](crate::TaskStore::begin_installer)). `None`
    /// where the agent was not said to have been upgraded.
    pub const fn at_end(to: &Status, target: Option<Version>) -> Option<Self> {
        match (to, target) {
            (Status::Done, Some(_)) => Some(Self::Awaited),
            (Status::Done, None) | (Status::Legacy, _) => Some(Self::NotChecked),
            _ => None,
        }
    }

    /// Its word; `unconfirmed` without what was seen.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::NotChecked => "not_checked",
        }
    }

    /// What was seen instead of the version that was sent.
    pub fn seen(&self) -> Option<&str> {
        match self {
            Self::Unconfirmed(seen) => Some(seen),
            _ => None,
        }
    }

    /// From its word and what was seen; `None` for a word that is none.
    pub fn from_words(word: &str, seen: Option<&str>) -> Option<Self> {
        let seen = Self::Unconfirmed(seen.unwrap_or_default().to_owned());
        [Self::Awaited, Self::Confirmed, seen, Self::NotChecked]
            .into_iter()
            .find(|confirmation| confirmation.as_str() == word)
    }
}
