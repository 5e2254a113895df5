//! `agent_list`: who the agents are, page by page, ascending by id. An empty
//! page is the end.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentDetails, AgentId, AgentInfo, ConnectionStatus, Labels, Platform, UnixTime};

use crate::codes::UpgradeCode;
use crate::parameters::{flag, should_be};
use crate::refusal::Refusal;
use crate::upgrade::response::Item;

/// A page of the agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListAgents {
    /// Only agents with higher ids; `None`: from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<AgentId>,
    /// The most agents of the page; see [`ListAgents::page`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only agents with such a version; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionFilter>,
    /// Whether items tell what [`ListedDetails`] has.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub details: bool,
}

/// Which versions are listed. Agents whose version cannot be read are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionFilter {
    /// Those below the manager's.
    Older,
    /// All but the manager's.
    Different,
}

impl ListAgents {
    /// The most agents in one answer.
    pub const LONGEST_PAGE: usize = 1_000;

    /// How many agents the page may have: 1 to [`ListAgents::LONGEST_PAGE`].
    pub fn page(&self) -> usize {
        let limit = self.limit.unwrap_or(Self::LONGEST_PAGE);
        limit.clamp(1, Self::LONGEST_PAGE)
    }

    pub(crate) fn read(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let after = number(parameters, "after")?.map(AgentId::new);
        let limit = number(parameters, "limit")?;
        Ok(Self {
            after: (after.transpose())
                .map_err(|error| Refusal::not_recognized(error.to_string()))?,
            // A negative one is as good as none.
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            details: flag(parameters, "details")?,
            version: match parameters.get("version") {
                None => None,
                Some(word) => Some(
                    VersionFilter::deserialize(word)
                        .map_err(|_| should_be("version", "\"older\" or \"different\""))?,
                ),
            },
        })
    }
}

fn number(parameters: &Map<String, Value>, key: &'static str) -> Result<Option<i64>, Refusal> {
    match parameters.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_i64().map(Some);
            number.ok_or_else(|| should_be(key, "a number"))
        }
    }
}

/// An agent of the list. Texts are as its directory has them, for the tool to
/// make them fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAgent {
    /// Its id.
    pub agent: AgentId,
    /// The name it was enrolled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version text, for example `Wazuh v4.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its system: `os_platform`, `os_major`, `os_minor`, `os_arch`.
    #[serde(flatten)]
    pub platform: Platform,
    /// Its groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The manager node it is connected to.
    #[serde(default, rename = "node_name", skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Whether a command would reach it.
    #[serde(default = "unknown", rename = "connection_status")]
    pub connection: ConnectionStatus,
    /// What else is known of it, where that was asked for.
    #[serde(flatten)]
    pub details: ListedDetails,
}

/// What is told where more was asked for: `details` of `agent_list`, `agent_show`. Times
/// are seconds since 1970 UTC; absent is what is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDetails {
    /// Its labels; `None` where the manager tells none of anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The site of rollouts that it is in; `None` where the manager keeps no sites, or cannot
    /// tell in which the agent is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// From which address it connected last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<UnixTime>,
    /// The status of its newest task, as `upgrade_result` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// When that task changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result_at: Option<UnixTime>,
    /// When it was enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<UnixTime>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<UnixTime>,
    /// When its certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_end: Option<UnixTime>,
}

impl From<AgentDetails> for ListedDetails {
    fn from(details: AgentDetails) -> Self {
        Self {
            labels: Some(details.labels),
            site: None,
            address: details.address,
            last_seen: details.last_seen,
            last_result: None,
            last_result_at: None,
            enrolled: details.enrolled,
            revoked: details.revoked,
            certificate_end: details.certificate_end,
        }
    }
}

fn unknown() -> ConnectionStatus {
    ConnectionStatus::Unknown
}

impl From<AgentInfo> for ListedAgent {
    fn from(agent: AgentInfo) -> Self {
        Self {
            agent: agent.id,
            name: agent.name,
            version: agent.version,
            platform: agent.platform,
            group: agent.group,
            node: agent.node,
            connection: agent.connection,
            details: ListedDetails::default(),
        }
    }
}

impl From<&ListedAgent> for AgentInfo {
    fn from(agent: &ListedAgent) -> Self {
        Self {
            id: agent.agent,
            name: agent.name.clone(),
            version: agent.version.clone(),
            platform: agent.platform.clone(),
            group: agent.group.clone(),
            node: agent.node.clone(),
            connection: agent.connection,
        }
    }
}

impl ListedAgent {
    /// The item of the answer.
    pub fn to_item(&self) -> Item {
        Item::upgrade(UpgradeCode::Success, self.agent).with(self)
    }

    /// Reads an item of the answer; `None` if it describes no agent.
    pub fn from_item(item: &Item) -> Option<Self> {
        item.read().ok()
    }
}
