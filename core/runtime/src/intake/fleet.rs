//! What the directory knows of the agents of a request, and which of them are not ours
//! to upgrade, or another node's. `upgrade.rs` enters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tracing::error;
use wpk_api::words::clean;
use wpk_api::{AgentId, AgentInfo, ConnectionStatus, Version};
use wpk_config::OssecConf;
use wpk_wire::AskedId;

use super::asked::distinct;
use crate::membership::node_of;
use crate::rules;
use crate::workshop::Workshop;

/// The longest name of a node that is repeated, in bytes.
const LONGEST_NAME: usize = 255;

/// What the directory knows of a request.
pub(super) struct Fleet {
    pub(super) agents: HashMap<AgentId, AgentInfo>,
    /// The manager's version.
    pub(super) manager: Option<Version>,
    /// Agents that another node of the cluster has, and what to do then.
    pub(super) elsewhere: HashMap<AgentId, String>,
    /// Agents that another node of a shared store has, which carries their tasks out.
    pub(super) nodes: HashMap<AgentId, Arc<str>>,
}

impl Fleet {
    /// All of these agents in one question, and the manager's version with them
    /// where it is not in the settings.
    pub(super) async fn lookup(workshop: &Workshop, ids: &[AskedId]) -> Self {
        let mut wanted = distinct(ids);
        if let Some(manager) = workshop.manager.asks()
            && wanted.first() != Some(&manager)
        {
            wanted.insert(0, manager);
        }
        match workshop.parts.directory.lookup(&wanted).await {
            Ok(agents) => {
                let agents = agents.into_iter().map(|agent| (agent.id, agent));
                let agents: HashMap<_, _> = agents.collect();
                let manager = workshop.manager.learn(agents.get(&AgentId::MANAGER));
                let nodes = nodes(workshop, &agents);
                let mut elsewhere = elsewhere(workshop, &agents);
                elsewhere.retain(|agent, _| !nodes.contains_key(agent));
                Fleet {
                    agents,
                    manager,
                    elsewhere,
                    nodes,
                }
            }
            Err(error) => {
                // 4.x tells the caller the same as for an unknown agent.
                error!(%error, "agents cannot be looked up");
                Fleet {
                    agents: HashMap::new(),
                    manager: None,
                    elsewhere: HashMap::new(),
                    nodes: HashMap::new(),
                }
            }
        }
    }
}

/// Those among the agents that another living node of a shared store has.
fn nodes(workshop: &Workshop, agents: &HashMap<AgentId, AgentInfo>) -> HashMap<AgentId, Arc<str>> {
    if !workshop.membership.has_neighbours() {
        return HashMap::new();
    }
    let mut names = HashSet::<Arc<str>>::new();
    let mut nodes = HashMap::new();
    for agent in agents.values() {
        let Some(node) = node_of(workshop, agent) else {
            continue;
        };
        // A name is kept once, however many agents there are.
        let name = match names.get(node.as_str()) {
            Some(name) => name.clone(),
            None => {
                let name = Arc::<str>::from(node);
                names.insert(name.clone());
                name
            }
        };
        nodes.insert(agent.id, name);
    }
    nodes
}

/// Those among the agents that are connected to another node of the cluster.
fn elsewhere(
    workshop: &Workshop,
    agents: &HashMap<AgentId, AgentInfo>,
) -> HashMap<AgentId, String> {
    let ossec = workshop.settings.ossec.as_ref();
    let Some(ours) = ossec.and_then(OssecConf::cluster_node) else {
        return HashMap::new();
    };
    let connected = |agent: &&AgentInfo| agent.connection == ConnectionStatus::Active;
    let others = agents.values().filter(connected).filter_map(|agent| {
        let node = clean(rules::elsewhere(agent, Some(ours))?, LONGEST_NAME);
        let reason = format!(
            "the agent is connected to node {node}, and this is node {ours}: ask on that node"
        );
        Some((agent.id, reason))
    });
    others.collect()
}
