//! Tasks: their stored states and the moves between them. Every store uses this
//! one table of legal moves (protocol.md, section 3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AgentId, TaskId};

/// Seconds since 1970-01-01 00:00:00 UTC.
pub type UnixTime = i64;

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

    /// Whether a task may go from `self` to `to` (protocol.md, section 3).
    pub const fn may_become(&self, to: &Status) -> bool {
        matches!(
            (self, to),
            (Self::Pending, Self::InProgress | Self::Cancelled)
                | (
                    Self::InProgress,
                    Self::Done | Self::Failed | Self::Legacy | Self::Timeout
                )
        )
    }

    /// Whether the move to `self` is open only to the node that owns the task.
    /// Reports of an agent may reach any node.
    pub const fn needs_same_node(&self) -> bool {
        matches!(self, Self::InProgress | Self::Legacy | Self::Cancelled)
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_moves_are_legal() {
        let mut legal = Vec::new();
        for from in Status::KNOWN {
            for to in Status::KNOWN {
                if from.may_become(&to) {
                    legal.push(format!("{from} -> {to}"));
                }
            }
        }
        assert_eq!(
            legal,
            [
                "Pending -> In progress",
                "Pending -> Cancelled",
                "In progress -> Done",
                "In progress -> Failed",
                "In progress -> Timeout",
                "In progress -> Legacy",
            ]
        );
        assert!(!Status::Other("Weird".into()).may_become(&Status::Done));
    }

    #[test]
    fn a_live_status_is_one_with_legal_moves() {
        for from in Status::KNOWN {
            assert_eq!(
                from.is_live(),
                Status::KNOWN.iter().any(|to| from.may_become(to)),
                "{from}"
            );
        }
    }

    #[test]
    fn words_round_trip() {
        for status in Status::KNOWN {
            assert_eq!(Status::from_word(status.as_str()), status);
        }
        assert_eq!(Status::from_word("Weird").as_str(), "Weird");
    }
}
