//! Acknowledgements: what agents report after their installer ran
//! (protocol.md, section 6). The task is updated at once; telling the agent to
//! stop repeating itself happens behind the answer ([`crate::clears`]).

use tracing::{debug, info, warn};
use wpk_api::{AgentId, Peer, Selector, Status, Transition, TransitionResult};
use wpk_wire::{Acknowledgement, AskedId, Item, Response, TaskCode, UpgradeCode, Verdict};

use super::asked::{at_once, distinct, each};
use crate::in_hand::{Installer, TasksInHand};
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
    let heard = each(ids, |id| hear(&workshop.in_hand, id));
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
fn hear(in_hand: &TasksInHand, id: AskedId) -> Option<AgentId> {
    let agent = id.agent().ok()?;
    let task = in_hand.of(agent);
    if task.is_some_and(|task| task.installer == Installer::NotBegun) {
        info!(%agent, "an acknowledgement of an earlier upgrade came during a delivery");
        return None;
    }
    Some(agent)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wpk_api::{Command, Task, TaskId};
    use wpk_wire::Step;

    use super::*;

    /// Whoever repeats the word about an earlier upgrade must not end this one,
    /// neither before its first attempt nor between two.
    #[test]
    fn an_agent_is_not_heard_before_it_was_told_to_run_the_installer() {
        let all = Arc::new(TasksInHand::default());
        let agent = AgentId::new(7).unwrap();
        let heard = || hear(&all, agent.into()).is_some();
        assert!(heard(), "nothing is in hand");
        let mut task = all.take(&Task {
            id: TaskId(1),
            agent,
            node: "node01".into(),
            module: "upgrade_module".into(),
            command: Command::Upgrade,
            created: 1,
            updated: None,
            status: Status::InProgress,
            error_msg: None,
        });
        assert!(!heard(), "it waits for a slot");
        task.begins();
        assert!(!heard(), "the file is looked for");
        task.step(Step::Write);
        assert!(!heard(), "the file is sent");
        task.waits();
        assert!(!heard(), "it waits for its next attempt");
        task.begins();
        task.installer_begins();
        assert!(heard());
        drop(task);
        assert!(heard(), "its word is awaited");
        assert_eq!(hear(&all, AskedId::from(-1)), None, "nobody's id");
    }
}
