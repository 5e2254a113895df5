//! Our own commands on the upgrade socket, for `wpkctl`: the list of agents,
//! enrolment, the progress of deliveries, tasks, their timelines and changes, and taking tasks
//! back. They are additions; no command of
//! PROTOCOL.md is answered here.

use wpk_api::{AgentInfo, Peer, Version};
use wpk_wire::own::{
    AskProgress, Delivery, EnrollAgent, EnrolledAgent, ListAgents, ListedAgent, VersionFilter,
};
use wpk_wire::{Item, OwnRequest, Refusal, Response};

use super::{authority, cancel, changes, manage, rollouts, tasks, timeline, tokens, versions};
use crate::workshop::Workshop;

/// Answers one of our own commands.
pub(super) async fn answer(
    workshop: &Workshop,
    peer: Peer,
    request: OwnRequest,
) -> Result<Response, Refusal> {
    match request {
        OwnRequest::AgentList(asked) => list(workshop, asked).await,
        OwnRequest::AgentEnroll(asked) => enroll(workshop, peer, asked).await,
        OwnRequest::AgentShow(asked) => manage::show(workshop, asked.agent).await,
        OwnRequest::AgentChange(asked) => manage::change(workshop, peer, asked).await,
        OwnRequest::AgentToken(asked) => tokens::issue(workshop, peer, asked).await,
        OwnRequest::AgentTokenList(_) => tokens::list(workshop, peer).await,
        OwnRequest::AgentTokenRevoke(asked) => tokens::revoke(workshop, peer, asked).await,
        OwnRequest::AgentCa(asked) => authority::answer(workshop, peer, asked).await,
        OwnRequest::UpgradeProgress(asked) => Ok(progress(workshop, asked)),
        OwnRequest::UpgradeTimeline(asked) => timeline::answer(workshop, asked).await,
        OwnRequest::UpgradeChanges(asked) => changes::answer(workshop, asked).await,
        OwnRequest::UpgradeTasks(asked) => tasks::answer(workshop, asked).await,
        OwnRequest::UpgradeCancel(asked) => cancel::answer(workshop, peer, asked).await,
        OwnRequest::UpgradeVersions(_) => versions::answer(workshop).await,
        // Typed before the engine that answers them.
        OwnRequest::Rollout(asked) => rollouts::answer(workshop, peer, asked).await,
    }
}

async fn list(workshop: &Workshop, asked: ListAgents) -> Result<Response, Refusal> {
    let manager = match asked.version {
        Some(_) => workshop.manager.get(&*workshop.parts.directory).await,
        None => None,
    };
    let passes = version_filter(manager, asked.version)?;
    let mut after = asked.after;
    loop {
        let page = (workshop.parts.directory.list(after, asked.page()).await)
            .map_err(|error| Refusal::not_recognized(error.to_string()))?;
        let last = page.agents.last().map(|agent| agent.id);
        let agents = page.agents.into_iter().filter(|agent| passes(agent));
        let mut agents: Vec<ListedAgent> = agents.map(ListedAgent::from).collect();
        if asked.details {
            manage::add_details(workshop, &mut agents).await?;
        }
        let items: Vec<Item> = agents.iter().map(ListedAgent::to_item).collect();
        // A page may hold no such agent while later ones do.
        if !items.is_empty() || !page.more || last.is_none() {
            return Ok(Response::success(items));
        }
        after = last;
    }
}

/// What the wished versions mean beside the manager's own.
fn version_filter(
    manager: Option<Version>,
    wished: Option<VersionFilter>,
) -> Result<impl Fn(&AgentInfo) -> bool + Send + Sync, Refusal> {
    if wished.is_some() && manager.is_none() {
        return Err(Refusal::not_recognized(
            "The manager's version is not known: set node.version",
        ));
    }
    let passes = move |version: Version| match wished {
        Some(VersionFilter::Older) => Some(version) < manager,
        Some(VersionFilter::Different) => Some(version) != manager,
        None => true,
    };
    Ok(move |agent: &AgentInfo| wished.is_none() || agent.parsed_version().is_some_and(passes))
}

/// The answer holds a private key, so only root and the daemon's own user may ask.
async fn enroll(workshop: &Workshop, peer: Peer, asked: EnrollAgent) -> Result<Response, Refusal> {
    manage::administrators_only(peer, "enroll")?;
    let enrolled = (workshop.parts.directory.enroll(&asked.name).await)
        .map_err(|error| Refusal::not_recognized(error.to_string()))?;
    let item = EnrolledAgent::from(enrolled).to_item();
    Ok(Response::success(vec![item]))
}

/// One item for each agent that is being delivered to right now.
fn progress(workshop: &Workshop, asked: AskProgress) -> Response {
    let at_once = u64::try_from(workshop.metrics.slots.get()).unwrap_or_default();
    let running = asked.agents.into_iter().filter_map(|agent| {
        let progress = workshop.in_hand.of(agent)?;
        let delivery = Delivery {
            agent,
            task_id: progress.task,
            step: progress.step?,
            sent: progress.sent,
            total: progress.total,
            at_once,
        };
        Some(delivery.to_item())
    });
    Response::success(running.collect())
}
