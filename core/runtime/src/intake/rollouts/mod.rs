//! Our own commands about rollouts, releases and holds. What is asked is answered from a
//! plan made at this moment; what is changed is written into the store's documents, which
//! the planner reads, wherever it is.

mod change;
mod explain;
mod history;
mod holds;
mod plan;
mod refusals;
mod rehearse;
mod releases;
mod shown;
mod status;

use wpk_api::Peer;
use wpk_wire::own::RolloutRequest;
use wpk_wire::{Refusal, Response};

use super::manage::administrators_only;
use crate::rollout::Who;
use crate::workshop::Workshop;

// Wire and rollout do not know each other, and must mean the same.
const _: () = assert!(
    wpk_wire::own::rollout::LONGEST_DEFINITION == wpk_rollout::LONGEST_DEFINITION
        && wpk_wire::own::rollout::LONGEST_NAME == wpk_rollout::LONGEST_NAME
);

/// Answers one of them.
pub(super) async fn answer(
    workshop: &Workshop,
    peer: Peer,
    request: RolloutRequest,
) -> Result<Response, Refusal> {
    if request.changes() {
        administrators_only(peer, "change the rollouts of")?;
    }
    let who = Who(match peer {
        Peer::Local { uid } => format!("uid {uid}"),
        _ => "not known".to_owned(),
    });
    match request {
        RolloutRequest::Plan(asked) => plan::plan(workshop, asked).await,
        RolloutRequest::Apply(asked) => plan::apply(workshop, &who, asked).await,
        RolloutRequest::Rehearse(asked) => rehearse::rehearsed(workshop, asked).await,
        RolloutRequest::List(asked) => status::list(workshop, asked).await,
        RolloutRequest::Status(asked) => status::status(workshop, asked).await,
        RolloutRequest::Members(asked) => explain::members(workshop, asked).await,
        RolloutRequest::Explain(asked) => explain::explain(workshop, asked).await,
        RolloutRequest::Change(asked) => change::change(workshop, &who, asked).await,
        RolloutRequest::History(asked) => history::answer(workshop, asked).await,
        RolloutRequest::Releases(_) => releases::list(workshop).await,
        RolloutRequest::Release(asked) => releases::change(workshop, &who, asked).await,
        RolloutRequest::Hold(asked) => holds::hold(workshop, &who, asked).await,
        RolloutRequest::Unhold(asked) => holds::unhold(workshop, &who, asked).await,
        RolloutRequest::Holds(asked) => holds::list(workshop, asked).await,
        RolloutRequest::Labels(asked) => holds::labels(workshop, &who, asked).await,
    }
}
