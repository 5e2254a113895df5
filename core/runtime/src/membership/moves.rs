//! Tasks that change their node: those of a node that died come here if their agents do,
//! and those whose agents went to another node follow them.

use std::collections::HashSet;

use tracing::{debug, info, warn};
use wpk_api::{AgentId, AgentInfo, ConnectionStatus, StoreError, Task, TaskId};
use wpk_config::OssecConf;

use crate::workshop::Workshop;

/// Tasks read, and agents asked about, at a time.
const PAGE: usize = 1_000;

/// Takes over what nodes without a lease have not begun and whose agents this node
/// reaches.
pub(super) async fn take_over(workshop: &Workshop) {
    let mut after = TaskId(0);
    loop {
        let orphans = match workshop.store().orphans(after, PAGE).await {
            Ok(orphans) => orphans,
            Err(error) => return told(workshop, &error),
        };
        let Some(last) = orphans.last() else { return };
        after = last.id;
        let here = reached(workshop, &orphans).await;
        let ours = orphans.iter().filter(|task| here.contains(&task.agent));
        let ours: Vec<TaskId> = ours.map(|task| task.id).collect();
        if ours.is_empty() {
            continue;
        }
        match workshop.store().take_over(&ours).await {
            Ok(taken) if taken.is_empty() => {}
            Ok(taken) => {
                info!(
                    tasks = taken.len(),
                    "took over tasks of nodes that are gone"
                );
                workshop.new_tasks.notify_one();
            }
            Err(error) => return told(workshop, &error),
        }
    }
}

fn told(workshop: &Workshop, error: &StoreError) {
    match error {
        StoreError::Fenced(why) => workshop.membership.is_shut_out(why),
        error => warn!(%error, "tasks of nodes that are gone cannot be taken over now"),
    }
}

/// The agents of these tasks that this node reaches: their directory shows them as
/// connected, and not to another node.
async fn reached(workshop: &Workshop, tasks: &[Task]) -> HashSet<AgentId> {
    let mut agents: Vec<AgentId> = tasks.iter().map(|task| task.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    let found = match workshop.parts.directory.lookup(&agents).await {
        Ok(found) => found,
        Err(error) => {
            warn!(%error, "agents of nodes that are gone cannot be looked up now");
            return HashSet::new();
        }
    };
    let here = |agent: &&AgentInfo| {
        agent.connection == ConnectionStatus::Active && is_here(workshop, agent)
    };
    found.iter().filter(here).map(|agent| agent.id).collect()
}

/// Whether the directory does not show an agent at another node than this one.
fn is_here(workshop: &Workshop, agent: &AgentInfo) -> bool {
    let Some(node) = shown_node(agent) else {
        return true;
    };
    let cluster = workshop.settings.ossec.as_ref();
    let cluster = cluster.and_then(OssecConf::cluster_node);
    node == workshop.node() || cluster == Some(node) || !workshop.membership.is_shared()
}

/// The node that the directory shows an agent at, but for what it writes for one that
/// never connected.
fn shown_node(agent: &AgentInfo) -> Option<&str> {
    agent
        .node
        .as_deref()
        .filter(|node| !node.is_empty() && *node != "unknown")
}

/// The other living node of the store that has this agent.
pub(crate) fn node_of(workshop: &Workshop, agent: &AgentInfo) -> Option<String> {
    if !workshop.membership.is_shared() || agent.connection != ConnectionStatus::Active {
        return None;
    }
    let node = shown_node(agent)?;
    let living = workshop.membership.others().living.contains(node);
    living.then(|| node.to_owned())
}

/// Gives a task, whose installer was not begun, to the node that has its agent now;
/// `None` where that is this node, or nobody knows.
pub(crate) async fn gives_away(workshop: &Workshop, task: &Task) -> Option<String> {
    let found = match workshop.parts.directory.lookup(&[task.agent]).await {
        Ok(found) => found,
        Err(error) => {
            // The delivery will say what is wrong.
            debug!(agent = %task.agent, %error, "where the agent is cannot be looked up");
            return None;
        }
    };
    let node = node_of(workshop, found.first()?)?;
    match workshop.store().hand_over(&[task.id], &node).await {
        Ok(given) => given.contains(&task.id).then_some(node),
        Err(error) => {
            warn!(task = %task.id, node, %error, "a task cannot be given to the node of its agent");
            None
        }
    }
}
