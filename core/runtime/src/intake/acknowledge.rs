//! Acknowledgements: what agents report after their installer ran
//! (protocol.md, section 6). The task is updated at once; telling the agent to
//! stop repeating itself happens behind the answer, since agents may be slow.

use std::sync::{Arc, PoisonError};

use bytes::BytesMut;
use tracing::{debug, info, warn};
use wpk_api::{AgentId, Peer, Selector, Status, Transition, TransitionResult};
use wpk_wire::{
    Acknowledgement, AgentCommand, AskedId, CommandForm, Item, Response, TaskCode, UpgradeCode,
    Verdict,
};

use crate::in_hand::Installer;
use crate::workshop::Workshop as Shared;

/// Stores the word of each agent and answers one item per id.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    peer: Peer,
    ids: &[AskedId],
    ack: &Acknowledgement,
) -> Response {
    let (to, error_msg) = match ack.verdict() {
        Verdict::Done => (Status::Done, None),
        Verdict::Failed(code) => (Status::Failed, Some(code.text().to_owned())),
        // Only local clients may do what a 4.x manager lets them do; an agent
        // reports how its upgrade ended and nothing else.
        Verdict::InProgress if !matches!(peer, Peer::Agent(_)) => (Status::InProgress, None),
        Verdict::Legacy if !matches!(peer, Peer::Agent(_)) => (Status::Legacy, None),
        Verdict::InProgress | Verdict::Legacy | Verdict::Unusable => {
            warn!(
                status = ack.status.as_ref().map(Status::as_str),
                "an acknowledgement with a status that is none"
            );
            clear(
                shared,
                ids.iter().filter_map(|id| id.agent().ok()).collect(),
            );
            let item = |id: &AskedId| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
            return Response::success(ids.iter().map(item).collect());
        }
    };
    let agents: Vec<AgentId> = ids.iter().filter_map(|id| id.agent().ok()).collect();
    let heard: Vec<Option<AgentId>> = ids.iter().map(|id| hear(shared, *id)).collect();
    let at = shared.clock.now();
    let moves = (heard.iter().flatten())
        .map(|agent| Transition {
            select: Selector::LatestOf(*agent),
            to: to.clone(),
            node: shared.settings.node.name.clone(),
            error_msg: error_msg.clone(),
            at,
        })
        .collect();
    let results = match shared.parts.store.transition(moves).await {
        Ok(results) => results,
        Err(error) => {
            // The agents are not told to stop: they repeat their word until the
            // store can keep it.
            warn!(%error, "an acknowledgement cannot be stored; the agent will repeat it");
            let item = |id: &AskedId| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
            return Response::success(ids.iter().map(item).collect());
        }
    };
    let mut results = results.into_iter();
    let item = |(id, heard): (&AskedId, &Option<AgentId>)| match heard.and_then(|_| results.next())
    {
        Some(TransitionResult::Moved(task)) => {
            info!(task = %task.id, agent = %task.agent, status = %task.status, said = ack.message.as_deref(), "the agent reported");
            Item::task(TaskCode::Success, *id)
        }
        _ => {
            debug!(
                agent = %id,
                "an acknowledgement without a task that waits for it"
            );
            Item::task(TaskCode::NoTask, *id)
        }
    };
    let items = ids.iter().zip(&heard).map(item).collect();
    clear(shared, agents);
    Response::success(items)
}

/// The agent of an id, if its word can be about its newest task. An agent that
/// was not told yet to run the installer speaks of an upgrade before this one.
fn hear(shared: &Shared, id: AskedId) -> Option<AgentId> {
    let agent = id.agent().ok()?;
    let in_hand = shared.in_hand.of(agent);
    if in_hand.is_some_and(|task| task.installer == Installer::NotBegun) {
        info!(%agent, "an acknowledgement of an earlier upgrade came during a delivery");
        return None;
    }
    Some(agent)
}

/// Tells agents to stop repeating themselves, without anybody waiting for it.
fn clear(shared: &Arc<Shared>, mut agents: Vec<AgentId>) {
    {
        let mut clearing = (shared.clearing.lock()).unwrap_or_else(PoisonError::into_inner);
        // An agent that repeats itself meanwhile must not get hold of all slots.
        agents.retain(|agent| clearing.insert(*agent));
    }
    if agents.is_empty() {
        return;
    }
    let inner = shared.clone();
    shared.background.spawn(async move {
        let mut command = BytesMut::new();
        AgentCommand::ClearUpgradeResult.encode(CommandForm::Json, &mut command);
        let command = command.freeze();
        for agent in agents {
            // Closed never: the semaphore lives as long as the engine.
            let Ok(slot) = inner.clears.clone().acquire_owned().await else {
                return;
            };
            let (shared, command) = (inner.clone(), command.clone());
            inner.background.spawn(async move {
                match shared.parts.transport.request(agent, command).await {
                    Ok(_) => debug!(%agent, "told to stop repeating its result"),
                    Err(error) => {
                        warn!(%agent, %error, "could not be told to stop repeating its result")
                    }
                }
                (shared.clearing.lock())
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&agent);
                drop(slot);
            });
        }
    });
}
