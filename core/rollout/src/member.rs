//! An agent as selectors, waves and the planner see it.

use std::sync::Arc;

use crate::Name;
use wpk_api::{AgentId, AgentInfo, ConnectionStatus, Labels, UnixTime, Version};

/// What a selector can ask of an agent. What is not known is `None`: no comparison
/// with it holds but `!=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: Option<String>,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Its labels.
    pub labels: Labels,
    /// The version it was seen to run last.
    pub version: Option<Version>,
    /// `ubuntu`, `windows`, ...
    pub platform: Option<String>,
    /// `x86_64`, ...
    pub arch: Option<String>,
    /// The site it is in; the planner finds it by itself.
    pub site: Option<Name>,
    /// The manager node it is connected to.
    pub node: Option<String>,
    /// Whether it is connected.
    pub status: ConnectionStatus,
}

impl Member {
    /// A member of which only the id is known.
    pub fn new(id: AgentId) -> Self {
        Self {
            id,
            name: None,
            groups: Vec::new(),
            labels: Labels::new(),
            version: None,
            platform: None,
            arch: None,
            site: None,
            node: None,
            status: ConnectionStatus::Unknown,
        }
    }

    /// What a directory says of an agent. Groups are taken apart at commas.
    pub fn of(info: &AgentInfo, labels: &Labels) -> Self {
        let groups = info.group.as_deref().unwrap_or_default().split(',');
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        Self {
            id: info.id,
            name: info.name.clone(),
            groups: groups.map(str::to_owned).collect(),
            labels: labels.clone(),
            version: info.parsed_version(),
            platform: info.platform.name.clone(),
            arch: info.platform.arch.clone(),
            site: None,
            node: info.node.clone(),
            status: info.connection,
        }
    }

    /// Whether a command would reach it now.
    pub fn connected(&self) -> bool {
        self.status == ConnectionStatus::Active
    }
}

/// A member, and what the planner needs to know of it besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Who it is.
    pub member: Member,
    /// When it was last heard, in seconds since 1970; of one that is connected it is
    /// not asked.
    pub last_seen: Option<UnixTime>,
    /// Why it can never be upgraded (a platform without packages), in words.
    pub unsupported: Option<Arc<str>>,
}

impl Agent {
    /// A member of which nothing else is known.
    pub fn new(member: Member) -> Self {
        Self {
            member,
            last_seen: None,
            unsupported: None,
        }
    }
}
