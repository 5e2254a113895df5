//! Acknowledgements: what agents report after their installer ran
//! (PROTOCOL.md, section 6). The task is updated at once; telling the agent to
//! stop repeating itself happens behind the answer ([`crate::clears`]).

use tracing::{debug, info, warn};
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{
    AgentId, Cause, Mover, Peer, Selector, Status, TimelineEntry, TimelineStep, Transition,
    TransitionResult, UnixTime,
};
use wpk_wire::{Acknowledgement, AskedId, Item, Response, TaskCode, UpgradeCode, Verdict};

use super::asked::{at_once, distinct, each};
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
            status = shown(ack.status.as_ref().map(Status::as_str)),
            "an acknowledgement with a status that is none"
        );
        workshop.clears.tell(distinct(ids), ack.task);
        return Response::success(ids.iter().map(unusable).collect());
    };
    let at = workshop.now();
    let is_report = matches!(to, Status::Done | Status::Failed);
    let agents = each(ids, |id| id.agent().ok());
    let move_of = |agent: Option<AgentId>| {
        let moved = agent.map(|agent| Transition {
            select: match (is_report, ack.task) {
                // What an agent names may be another's task.
                (true, Some(task)) => Selector::TaskOf { task, agent },
                // Which task it is about is for the store to say: an agent that was
                // not told to run the installer speaks of an upgrade before this one.
                (true, None) => Selector::SpokenOf(agent),
                (false, _) => Selector::LatestOf(agent),
            },
            to: to.clone(),
            node: workshop.node().to_owned(),
            error_msg: error_msg.clone(),
            at,
            by: match is_report {
                true => Mover::Report,
                false => Mover::Delivery,
            },
            entry: Some(entry(agent, ack, at)),
        });
        ((), moved)
    };
    let moved = at_once(agents, move_of, |moves| workshop.store().transition(moves)).await;
    let moved = match moved {
        Ok(moved) => moved,
        Err(error) => {
            // The agents are not told to stop: they repeat their word until the
            // store can keep it.
            warn!(%error, "an acknowledgement cannot be stored; the agent will repeat it");
            return Response::success(ids.iter().map(unusable).collect());
        }
    };
    workshop.clears.tell(distinct(ids), ack.task);
    let mut items = Vec::with_capacity(moved.len());
    for asked in moved {
        items.push(match asked.found.1 {
            Some(TransitionResult::Moved(task)) => {
                info!(task = %task.id, agent = %task.agent, status = %task.status, said = shown(ack.message.as_deref()), "the agent reported");
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

/// What the agent said, fit for a log line.
fn shown(words: Option<&str>) -> Option<String> {
    Some(clean(words?, LONGEST_CAUSE))
}

/// The word for the task's timeline.
fn entry(agent: AgentId, ack: &Acknowledgement, at: UnixTime) -> TimelineEntry {
    let entry = TimelineEntry::new(at, TimelineStep::Report).asked(&format!("agent {agent}"));
    let words = ack.message.as_deref().unwrap_or_default();
    match ack.verdict() {
        Verdict::Failed(code) => {
            let advice = "look into the installer's log at the agent";
            entry.failed(Cause::new(code.code().into(), words, advice))
        }
        _ => entry.detail(words),
    }
}
