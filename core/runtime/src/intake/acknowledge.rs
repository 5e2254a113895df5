//! Acknowledgements: what agents report after their installer ran
//! (protocol.md, section 6). The task is updated at once; telling the agent to
//! stop repeating itself happens behind the answer ([`crate::clears`]).

use tracing::{debug, info, warn};
use wpk_api::{AgentId, Peer, Selector, Status, Transition, TransitionResult};
use wpk_wire::{Acknowledgement, AskedId, Item, Response, TaskCode, UpgradeCode, Verdict};

use super::asked::{at_once, distinct, each};
use crate::in_hand::Installer;
use crate::workshop::Workshop;

/// Stores the word of each agent and answers one item per id.
pub(super) async fn answer(
    workshop: &Workshop,
    peer: Peer,
    ids: &[AskedId],
    ack: &Acknowledgement,
) -> Response {
    let unusable = |id: &AskedId| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
    let Some((to, error_msg)) = end_of_task(peer, ack) else {
        warn!(
            status = ack.status.as_ref().map(Status::as_str),
            "an acknowledgement with a status that is none"
        );
        workshop.clears.tell(distinct(ids));
        return Response::success(ids.iter().map(unusable).collect());
    };
    let heard = each(ids, |id| hear(workshop, id));
    let at = workshop.now();
    let move_of = |heard: Option<AgentId>| {
        let moved = heard.map(|agent| Transition {
            select: Selector::LatestOf(agent),
            to: to.clone(),
            node: workshop.node().to_owned(),
            error_msg: error_msg.clone(),
            at,
        });
        ((), moved)
    };
    let moved = at_once(heard, move_of, |moves| workshop.store().transition(moves)).await;
    let moved = match moved {
        Ok(moved) => moved,
        Err(error) => {
            // The agents are not told to stop: they repeat their word until the
            // store can keep it.
            warn!(%error, "an acknowledgement cannot be stored; the agent will repeat it");
            return Response::success(ids.iter().map(unusable).collect());
        }
    };
    workshop.clears.tell(distinct(ids));
    let mut items = Vec::with_capacity(moved.len());
    for asked in moved {
        items.push(match asked.found.1 {
            Some(TransitionResult::Moved(task)) => {
                info!(task = %task.id, agent = %task.agent, status = %task.status, said = ack.message.as_deref(), "the agent reported");
                Item::task(TaskCode::Success, asked.id)
            }
            _ => {
                debug!(agent = %asked.id, "an acknowledgement without a task that waits for it");
                Item::task(TaskCode::NoTask, asked.id)
            }
        });
    }
    Response::success(items)
}

/// The status and the text that the task gets; `None` for a word that is none.
/// Only local clients may do what a 4.x manager lets them do; an agent reports
/// how its upgrade ended and nothing else.
fn end_of_task(peer: Peer, ack: &Acknowledgement) -> Option<(Status, Option<String>)> {
    let is_agent = matches!(peer, Peer::Agent(_));
    match ack.verdict() {
        Verdict::Done => Some((Status::Done, None)),
        Verdict::Failed(code) => Some((Status::Failed, Some(code.text().to_owned()))),
        Verdict::InProgress if !is_agent => Some((Status::InProgress, None)),
        Verdict::Legacy if !is_agent => Some((Status::Legacy, None)),
        Verdict::InProgress | Verdict::Legacy | Verdict::Unusable => None,
    }
}

/// The agent of an id, if its word can be about its newest task. An agent that
/// was not told yet to run the installer speaks of an upgrade before this one.
fn hear(workshop: &Workshop, id: AskedId) -> Option<AgentId> {
    let agent = id.agent().ok()?;
    let in_hand = workshop.in_hand.of(agent);
    if in_hand.is_some_and(|task| task.installer == Installer::NotBegun) {
        info!(%agent, "an acknowledgement of an earlier upgrade came during a delivery");
        return None;
    }
    Some(agent)
}
