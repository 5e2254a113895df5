//! Our own commands about single agents: what is known of one, and what an administrator
//! changes. The directory carries it out; that of a 4.x manager refuses changes.

use std::collections::HashMap;

use tracing::warn;
use wpk_api::{AgentChange, AgentId, AgentInfo, ConnectionStatus, DirectoryError, Peer, Platform};
use wpk_rollout::Member;
use wpk_wire::own::{ChangeAgent, ListedAgent, ListedDetails};
use wpk_wire::task::show_status;
use wpk_wire::{Item, Refusal, Response, UpgradeCode};

use crate::rollout;
use crate::workshop::Workshop;

/// Root and the daemon's own user alone; `what` is what they do to agents.
pub(super) fn administrators_only(peer: Peer, what: &str) -> Result<(), Refusal> {
    let own = rustix::process::geteuid().as_raw();
    if matches!(peer, Peer::Local { uid } if uid == 0 || uid == own) {
        return Ok(());
    }
    Err(Refusal::not_recognized(format!(
        "Only root and the user of wpkd may {what} agents"
    )))
}

/// All that is known of an agent, also of one that was revoked.
pub(super) async fn show(workshop: &Workshop, agent: AgentId) -> Result<Response, Refusal> {
    match found(workshop, agent).await? {
        Some(listed) => Ok(Response::success(vec![listed.to_item()])),
        None => Err(Refusal::not_recognized(format!(
            "There is no agent {agent}"
        ))),
    }
}

/// Changes an agent, and answers with what it is now.
pub(super) async fn change(
    workshop: &Workshop,
    peer: Peer,
    asked: ChangeAgent,
) -> Result<Response, Refusal> {
    administrators_only(peer, "change")?;
    let ChangeAgent { agent, change } = asked;
    let changed = workshop.parts.directory.change(agent, &change).await;
    changed.map_err(refused)?;
    if change == AgentChange::Remove {
        let item = Item::upgrade(UpgradeCode::Success, agent);
        return Ok(Response::success(vec![item]));
    }
    show(workshop, agent).await
}

async fn found(workshop: &Workshop, agent: AgentId) -> Result<Option<ListedAgent>, Refusal> {
    let directory = &workshop.parts.directory;
    let info = directory.lookup(&[agent]).await.map_err(refused)?.pop();
    let is_out = info.is_none();
    let listed = match info {
        Some(info) => Some(ListedAgent::from(info)),
        // It is in the directory no more, but may be known still.
        None => {
            let details = directory.details(&[agent]).await.map_err(refused)?.pop();
            details.map(|details| ListedAgent {
                agent,
                name: details.name,
                version: None,
                platform: Platform::default(),
                group: None,
                node: None,
                connection: ConnectionStatus::Disconnected,
                details: ListedDetails::default(),
            })
        }
    };
    let mut listed: Vec<_> = listed.into_iter().collect();
    add_details(workshop, &mut listed).await?;
    if is_out {
        // Rollouts do not see it any more.
        listed
            .iter_mut()
            .for_each(|agent| agent.details.site = None);
    }
    Ok(listed.pop())
}

/// What the directory and the store know besides.
pub(super) async fn add_details(
    workshop: &Workshop,
    agents: &mut [ListedAgent],
) -> Result<(), Refusal> {
    let ids: Vec<AgentId> = agents.iter().map(|agent| agent.agent).collect();
    let details = workshop.parts.directory.details(&ids).await;
    let details = details.map_err(refused)?.into_iter();
    let mut details: HashMap<_, _> = details.map(|one| (one.id, one)).collect();
    // Who the agents are is worth telling without their tasks, too.
    let tasks = workshop.store().latest(&ids).await.unwrap_or_else(|error| {
        warn!(%error, "the last results of agents cannot be read");
        Vec::new()
    });
    let mut tasks: HashMap<_, _> = (tasks.into_iter().flatten())
        .map(|task| (task.agent, task))
        .collect();
    let kept = rollout::labels(workshop).await;
    let sites = match &kept {
        Ok(_) => rollout::sites(workshop).await.map(Some),
        // In which it is may depend on them.
        Err(error) => {
            warn!(%error, "the labels of agents cannot be read");
            Ok(None)
        }
    };
    let sites = sites.unwrap_or_else(|error| {
        warn!(%error, "the sites of agents cannot be read");
        None
    });
    for agent in agents {
        if let Some(known) = details.remove(&agent.agent) {
            agent.details = ListedDetails::from(known);
        }
        agent.details.labels = match &kept {
            Ok(kept) => {
                let mut labels = agent.details.labels.take().unwrap_or_default();
                // Ours are the operator's word, as in rollouts.
                labels.extend(kept.get(&agent.agent).cloned().unwrap_or_default());
                Some(labels)
            }
            // Half of them would be taken for all.
            Err(_) => None,
        };
        // The manager itself is in none.
        let is_agent = agent.agent != AgentId::MANAGER;
        agent.details.site = sites.as_deref().filter(|_| is_agent).and_then(|sites| {
            let labels = agent.details.labels.as_ref()?;
            let member = Member::of(&AgentInfo::from(&*agent), labels);
            let site = sites.sites.get(sites.find(&member))?;
            Some(site.name.to_string())
        });
        if let Some(task) = tasks.remove(&agent.agent) {
            let status = show_status(&task.status, workshop.settings.dialect);
            agent.details.last_result = status.map(str::to_owned);
            agent.details.last_result_at = Some(task.updated.unwrap_or(task.created));
        }
    }
    Ok(())
}

pub(super) fn refused(error: DirectoryError) -> Refusal {
    Refusal::not_recognized(error.to_string())
}
