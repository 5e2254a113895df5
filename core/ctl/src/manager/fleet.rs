//! Who the agents are: the manager's `agent_list`, page by page. A manager
//! that does not know the command refuses it; callers then go on without
//! versions.

use std::collections::{BTreeSet, HashMap};

use wpk_api::{AgentId, ConnectionStatus, Labels, Version};
use wpk_wire::Item;
use wpk_wire::own::{ListAgents, ListedAgent, VersionFilter};

use super::client::Client;
use crate::error::CtlError;
use crate::output::clean;

/// The most agents that are listed.
const MAX_LISTED: usize = 2_000_000;

/// An agent as the manager describes it; its texts are fit for a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Agent(ListedAgent);

impl Agent {
    pub(crate) fn id(&self) -> AgentId {
        self.0.agent
    }

    /// Its name.
    pub(crate) fn name(&self) -> Option<String> {
        shown(&self.0.name)
    }

    /// Its version as it reports it.
    pub(crate) fn version_text(&self) -> Option<String> {
        shown(&self.0.version)
    }

    /// Its version: `vX.Y.Z` where its text holds one, else the text.
    pub(crate) fn version(&self) -> Option<String> {
        let text = self.version_text()?;
        Some(Version::find(&text).map_or(text, |version| version.to_string()))
    }

    /// Its operating system: `ubuntu`.
    pub(crate) fn system(&self) -> Option<String> {
        shown(&self.0.platform.name)
    }

    /// The version of that, as far as it is known: `22.04` or `22`.
    pub(crate) fn system_version(&self) -> Option<String> {
        match (shown(&self.0.platform.major), shown(&self.0.platform.minor)) {
            (Some(major), Some(minor)) => Some(format!("{major}.{minor}")),
            (major, _) => major,
        }
    }

    /// Its architecture.
    pub(crate) fn arch(&self) -> Option<String> {
        shown(&self.0.platform.arch)
    }

    /// Its groups.
    pub(crate) fn group(&self) -> Option<String> {
        shown(&self.0.group)
    }

    /// The node it is connected to.
    pub(crate) fn node(&self) -> Option<String> {
        shown(&self.0.node)
    }

    /// Whether it can be reached.
    pub(crate) fn connection(&self) -> ConnectionStatus {
        self.0.connection
    }

    /// Its labels, as the manager has them; `None` where it tells none of anybody.
    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.0.details.labels.as_ref()
    }

    /// Its labels as one line: `rack=7,site=lyon`.
    pub(crate) fn labels_text(&self) -> String {
        let labels = self.labels().into_iter().flatten();
        let labels: Vec<String> = labels
            .map(|(key, value)| clean(&format!("{key}={value}")))
            .collect();
        labels.join(",")
    }

    /// The site of rollouts it is in; `None` where the manager does not tell it.
    pub(crate) fn site(&self) -> Option<String> {
        shown(&self.0.details.site)
    }

    /// From where it connected last.
    pub(crate) fn address(&self) -> Option<String> {
        shown(&self.0.details.address)
    }

    /// The status of its newest task.
    pub(crate) fn last_result(&self) -> Option<String> {
        shown(&self.0.details.last_result)
    }

    /// The agent of an item; `None` if it describes none.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        ListedAgent::from_item(item).map(Self)
    }

    /// All of it, as the manager sent it.
    pub(crate) fn listed(&self) -> &ListedAgent {
        &self.0
    }
}

fn shown(text: &Option<String>) -> Option<String> {
    text.as_deref().filter(|text| !text.is_empty()).map(clean)
}

/// The agents, ascending by id: all, or those with such a version; with or without what
/// [`ListedAgent::details`] tells.
///
/// # Errors
/// [`CtlError::Refused`] from a manager that does not know the command, and
/// those of the connection.
pub(crate) async fn list(
    client: &mut Client,
    version: Option<VersionFilter>,
    details: bool,
) -> Result<Vec<Agent>, CtlError> {
    let mut agents: Vec<Agent> = Vec::new();
    loop {
        let asked = ListAgents {
            after: agents.last().map(Agent::id),
            limit: Some(ListAgents::LONGEST_PAGE),
            version,
            details,
        };
        let page = page(client, asked).await?;
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

/// Every agent but the manager itself.
///
/// # Errors
/// As [`list`].
pub(crate) async fn everyone(client: &mut Client) -> Result<Vec<AgentId>, CtlError> {
    let agents = list(client, None, false).await?.into_iter();
    Ok(agents
        .map(|agent| agent.id())
        .filter(|id| *id != AgentId::MANAGER)
        .collect())
}

/// The versions of some agents, by id; those unknown are left out.
///
/// # Errors
/// As [`list`].
pub(crate) async fn versions(
    client: &mut Client,
    ids: impl IntoIterator<Item = AgentId>,
) -> Result<HashMap<AgentId, String>, CtlError> {
    let agents = find(client, ids).await?.into_values();
    Ok(agents
        .filter_map(|agent| Some((agent.id(), agent.version()?)))
        .collect())
}

/// Some agents, by id; those unknown are left out.
///
/// # Errors
/// As [`list`].
pub(crate) async fn find(
    client: &mut Client,
    ids: impl IntoIterator<Item = AgentId>,
) -> Result<HashMap<AgentId, Agent>, CtlError> {
    let mut wanted: BTreeSet<AgentId> = ids.into_iter().collect();
    let mut found = HashMap::new();
    while let (Some(first), Some(last)) = (wanted.first(), wanted.last()) {
        let span = usize::try_from(last.get() - first.get()).unwrap_or(usize::MAX);
        let asked = ListAgents {
            after: AgentId::new(i64::from(*first) - 1).ok(),
            limit: Some(span.saturating_add(1).min(ListAgents::LONGEST_PAGE)),
            version: None,
            details: false,
        };
        let page = page(client, asked).await?;
        let Some(end) = page.last().map(Agent::id) else {
            break;
        };
        let page = page
            .into_iter()
            .filter(|agent| wanted.contains(&agent.id()));
        found.extend(page.map(|agent| (agent.id(), agent)));
        let Ok(next) = AgentId::new(i64::from(end) + 1) else {
            break;
        };
        wanted = wanted.split_off(&next);
    }
    Ok(found)
}

/// The version texts of agents, as the manager shows them.
pub(crate) fn version_texts(agents: &HashMap<AgentId, Agent>) -> HashMap<AgentId, String> {
    let texts = agents
        .values()
        .filter_map(|agent| Some((agent.id(), agent.version_text()?)));
    texts.collect()
}

/// One page, ascending.
///
/// # Errors
/// As [`list`].
pub(crate) async fn page(client: &mut Client, asked: ListAgents) -> Result<Vec<Agent>, CtlError> {
    let after = asked.after;
    let items = client.own(asked).await?;
    let mut agents: Vec<Agent> = items
        .iter()
        .filter_map(ListedAgent::from_item)
        .map(Agent)
        .collect();
    agents.sort_by_key(Agent::id);
    // A page that does not go on would be asked for ever.
    if let (Some(first), Some(after)) = (agents.first(), after)
        && first.id() <= after
    {
        return Err(CtlError::Unexpected(format!(
            "the manager lists agents again that it listed before (asked for those after {after})"
        )));
    }
    Ok(agents)
}
