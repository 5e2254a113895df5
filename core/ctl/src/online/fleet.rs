//! Who the agents are: the manager's `agent_list`, page by page. A manager
//! that does not know the command refuses it; callers then go on without
//! versions.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use wpk_api::Version;
use wpk_wire::Item;

use super::client::Client;
use crate::error::CtlError;
use crate::output::clean;

/// Agents per page.
const PAGE: i64 = 1_000;
/// The most agents that are listed.
const MAX_LISTED: usize = 2_000_000;

/// An agent as the manager describes it.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) id: i64,
    members: Map<String, Value>,
}

impl Agent {
    /// One of the members `name`, `version`, `connection_status`, `os_platform`,
    /// `os_major`, `os_minor`, `os_arch`, `group`, `node_name`; fit for a terminal.
    pub(crate) fn text(&self, member: &str) -> Option<String> {
        match self.members.get(member) {
            Some(Value::String(text)) if !text.is_empty() => Some(clean(text)),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Its version: `vX.Y.Z` where its text holds one, else the text.
    pub(crate) fn version(&self) -> Option<String> {
        let text = self.text("version")?;
        Some(Version::find(&text).map_or(text, |version| version.to_string()))
    }

    /// All members as an object.
    pub(crate) fn object(&self) -> Value {
        let mut object = Map::from_iter([("agent".to_owned(), json!(self.id))]);
        object.extend(self.members.clone());
        Value::Object(object)
    }
}

/// Which agents are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Every one.
    All,
    /// Those older than the manager.
    Older,
    /// Those with another version than the manager's.
    Different,
}

/// The agents, ascending by id.
///
/// # Errors
/// [`CtlError::Refused`] from a manager that does not know the command, and
/// those of the connection.
pub(crate) async fn list(client: &mut Client, show: Show) -> Result<Vec<Agent>, CtlError> {
    let mut agents: Vec<Agent> = Vec::new();
    loop {
        let after = agents.last().map(|agent| agent.id);
        let page = page(client, after, PAGE, show).await?;
        if page.is_empty() {
            return Ok(agents);
        }
        agents.extend(page);
        if agents.len() > MAX_LISTED {
            return Err(CtlError::Unexpected(format!(
                "the manager lists more than {MAX_LISTED} agents; stopped"
            )));
        }
    }
}

/// The versions of some agents, by id; those unknown are left out.
///
/// # Errors
/// As [`list`].
pub(crate) async fn versions(
    client: &mut Client,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, String>, CtlError> {
    let agents = find(client, ids).await?.into_values();
    Ok(agents
        .filter_map(|agent| Some((agent.id, agent.version()?)))
        .collect())
}

/// Some agents, by id; those unknown are left out.
///
/// # Errors
/// As [`list`].
pub(crate) async fn find(
    client: &mut Client,
    ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Agent>, CtlError> {
    let mut wanted: BTreeSet<i64> = ids.into_iter().collect();
    let mut found = HashMap::new();
    while let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) {
        let after = (first > 0).then(|| first - 1);
        let limit = (last - first + 1).min(PAGE);
        let page = page(client, after, limit, Show::All).await?;
        let Some(end) = page.last().map(|agent| agent.id) else {
            break;
        };
        let page = page.into_iter().filter(|agent| wanted.contains(&agent.id));
        found.extend(page.map(|agent| (agent.id, agent)));
        wanted = wanted.split_off(&(end + 1));
    }
    Ok(found)
}

/// One page: agents above `after`, ascending.
async fn page(
    client: &mut Client,
    after: Option<i64>,
    limit: i64,
    show: Show,
) -> Result<Vec<Agent>, CtlError> {
    let mut parameters = Map::from_iter([("limit".to_owned(), json!(limit))]);
    if let Some(after) = after {
        parameters.insert("after".to_owned(), json!(after));
    }
    let version = match show {
        Show::All => None,
        Show::Older => Some("older"),
        Show::Different => Some("different"),
    };
    if let Some(version) = version {
        parameters.insert("version".to_owned(), json!(version));
    }
    let items = client.extension("agent_list", parameters).await?;
    let mut agents: Vec<Agent> = items.into_iter().filter_map(agent).collect();
    agents.sort_by_key(|agent| agent.id);
    // A page that does not go on would be asked for ever.
    let from = after.unwrap_or(-1);
    if agents.first().is_some_and(|first| first.id <= from) {
        return Err(CtlError::Unexpected(format!(
            "the manager lists agents again that it listed before (asked for those after {from})"
        )));
    }
    Ok(agents)
}

fn agent(item: Item) -> Option<Agent> {
    // Our own members come flattened; `version` and the like are no fields of an item.
    Some(Agent {
        id: item.agent?,
        members: item.extra,
    })
}
