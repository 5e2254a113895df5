//! Tasks: their stored states and the moves between them. Every store uses this
//! one table of legal moves (PROTOCOL.md, section 3).

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

    /// Whether the move to `self` is open only to the node that owns the task.
    /// Reports of an agent may reach any node.
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

/// Who moves a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mover {
    /// The node that carries it out, or its task manager.
    Delivery,
    /// An agent's word, whoever passes it on.
    Report,
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

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: Standing = Standing {
        ours: false,
        begun: false,
    };
    const WAITING: Standing = Standing {
        ours: true,
        begun: false,
    };
    const BEGUN: Standing = Standing {
        ours: true,
        begun: true,
    };

    fn legal(standing: Standing, by: Mover) -> Vec<String> {
        let mut legal = Vec::new();
        for from in Status::KNOWN {
            for to in Status::KNOWN {
                if from.may_become(&to, standing, by) {
                    legal.push(format!("{from} -> {to}"));
                }
            }
        }
        legal
    }

    #[test]
    fn a_task_without_an_order_has_the_moves_of_4_x() {
        for by in [Mover::Delivery, Mover::Report] {
            assert_eq!(
                legal(FOREIGN, by),
                [
                    "Pending -> In progress",
                    "Pending -> Cancelled",
                    "In progress -> Done",
                    "In progress -> Failed",
                    "In progress -> Timeout",
                    "In progress -> Legacy",
                ]
            );
        }
        assert!(!Status::Other("Weird".into()).may_become(&Status::Done, FOREIGN, Mover::Report));
    }

    #[test]
    fn no_word_of_an_agent_is_about_an_installer_that_was_not_begun() {
        let usual = [
            "Pending -> In progress",
            "Pending -> Cancelled",
            "In progress -> Cancelled",
            "In progress -> Timeout",
            "In progress -> Legacy",
        ];
        assert_eq!(legal(WAITING, Mover::Report), usual);
        let delivery = legal(WAITING, Mover::Delivery);
        assert!(
            delivery.contains(&"In progress -> Failed".to_owned()),
            "{delivery:?}"
        );
        assert!(
            !delivery.contains(&"Timeout -> Failed".to_owned()),
            "{delivery:?}"
        );
    }

    #[test]
    fn a_late_word_corrects_a_time_out_and_nothing_else() {
        let late = legal(BEGUN, Mover::Report);
        assert!(late.contains(&"Timeout -> Done".to_owned()), "{late:?}");
        assert!(late.contains(&"Timeout -> Failed".to_owned()), "{late:?}");
        assert!(
            !late.contains(&"In progress -> Cancelled".to_owned()),
            "{late:?}"
        );
        for ended in [
            Status::Done,
            Status::Failed,
            Status::Cancelled,
            Status::Legacy,
        ] {
            for to in Status::KNOWN {
                assert!(
                    !ended.may_become(&to, BEGUN, Mover::Report),
                    "{ended} -> {to}"
                );
            }
        }
        let delivery = legal(BEGUN, Mover::Delivery);
        assert!(
            !delivery.contains(&"Timeout -> Done".to_owned()),
            "{delivery:?}"
        );
    }

    #[test]
    fn a_live_status_is_one_that_goes_on_by_itself() {
        for from in Status::KNOWN {
            let moves = Status::KNOWN
                .iter()
                .any(|to| from.may_become(to, BEGUN, Mover::Delivery));
            assert_eq!(from.is_live(), moves, "{from}");
        }
    }

    #[test]
    fn some_moves_are_the_owners_alone() {
        let owners = [Status::InProgress, Status::Legacy, Status::Cancelled];
        for status in Status::KNOWN {
            assert_eq!(
                status.needs_same_node(),
                owners.contains(&status),
                "{status}"
            );
        }
    }

    #[test]
    fn commands_are_written_as_on_the_wire() {
        for word in ["upgrade", "upgrade_custom", "downgrade"] {
            assert_eq!(Command::from_word(word).as_str(), word);
        }
        assert_eq!(Command::from_word("upgrade"), Command::Upgrade);
        assert_eq!(Command::from_word("upgrade_custom"), Command::UpgradeCustom);
    }

    #[test]
    fn words_round_trip() {
        for status in Status::KNOWN {
            assert_eq!(Status::from_word(status.as_str()), status);
        }
        assert_eq!(Status::from_word("Weird").as_str(), "Weird");
    }

    #[test]
    fn only_what_was_sent_with_its_version_is_awaited() {
        let target = Some(Version::new(4, 14, 9));
        for status in Status::KNOWN {
            let wanted = match status {
                Status::Done => [Some(Confirmation::Awaited), Some(Confirmation::NotChecked)],
                Status::Legacy => [
                    Some(Confirmation::NotChecked),
                    Some(Confirmation::NotChecked),
                ],
                _ => [None, None],
            };
            let got = [target, None].map(|target| Confirmation::at_end(&status, target));
            assert_eq!(got, wanted, "{status}");
        }
    }
}
