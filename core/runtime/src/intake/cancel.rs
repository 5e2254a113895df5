//! `upgrade_cancel`: the newest tasks of agents are taken back, where their installers were
//! not begun. Ours; a 4.x manager does not know it.
//!
//! The store decides, in one transaction for all of them and against whoever begins an
//! installer at the same moment, at this node or another. What is delivered here is left then;
//! another node learns of it when it looks around, or begins.

use std::collections::{HashMap, HashSet};

use tracing::{error, info};
use wpk_api::{
    AgentId, Attempt, Mover, Peer, Selector, Status, StoreError, StoreResult, Task, TaskId,
    TimelineEntry, TimelineStep, Transition, TransitionResult,
};
use wpk_wire::own::{CancelOutcome, CancelTasks, TakenBack};
use wpk_wire::task::TaskTimes;
use wpk_wire::{AskedId, Item, Refusal, Response, TaskCode};

use super::result;
use crate::rollout::{attempts_of, name_of};
use crate::workshop::Workshop;

/// How often a commit of which nobody knows the outcome is tried again.
const TRIES: usize = 3;

/// One item per agent, each once, in the order asked.
pub(super) async fn answer(
    workshop: &Workshop,
    peer: Peer,
    asked: CancelTasks,
) -> Result<Response, Refusal> {
    let agents = each_once(asked.agents);
    match take_back(workshop, peer, &agents).await {
        Ok(items) => Ok(Response::success(items)),
        Err(cause) => {
            error!(%cause, "tasks cannot be taken back");
            Err(Refusal::not_recognized(cause.to_string()))
        }
    }
}

fn each_once(mut agents: Vec<AgentId>) -> Vec<AgentId> {
    let mut seen = HashSet::new();
    agents.retain(|agent| seen.insert(*agent));
    agents
}

async fn take_back(workshop: &Workshop, peer: Peer, agents: &[AgentId]) -> StoreResult<Vec<Item>> {
    let store = workshop.store();
    let newest = store.latest(agents).await?;
    let live: Vec<&Task> = (newest.iter().flatten())
        .filter(|task| task.status.is_live())
        .collect();
    let of_rollouts = of_rollouts(workshop, &live).await?;
    let open: Vec<&Task> = (live.into_iter())
        .filter(|task| !of_rollouts.contains_key(&task.id))
        .collect();
    let mut moved = end(workshop, peer, &open).await?;
    let show = Show::new(workshop);
    let mut items = Vec::with_capacity(agents.len());
    for (agent, task) in agents.iter().zip(newest) {
        let Some(task) = task else {
            items.push(show.without(*agent));
            continue;
        };
        let item = match (of_rollouts.get(&task.id), moved.remove(&task.id)) {
            (Some(attempt), _) => show.of_rollout(task, attempt),
            (None, Some(TransitionResult::Moved(task))) => {
                show.item(task, CancelOutcome::TakenBack)
            }
            (None, Some(TransitionResult::Refused(Some(task)))) => {
                let outcome = why_not(workshop, &task).await?;
                show.item(task, outcome)
            }
            // Deleted meanwhile.
            (None, Some(TransitionResult::Refused(None))) => show.without(*agent),
            (None, None) => show.item(task, CancelOutcome::Ended),
        };
        items.push(item);
    }
    Ok(items)
}

/// Those that were made for a rollout, which would make others in their place.
async fn of_rollouts(
    workshop: &Workshop,
    tasks: &[&Task],
) -> StoreResult<HashMap<TaskId, Attempt>> {
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    attempts_of(workshop.store(), &ids).await
}

/// Cancels those that may still be, in one transaction.
async fn end(
    workshop: &Workshop,
    peer: Peer,
    tasks: &[&Task],
) -> StoreResult<HashMap<TaskId, TransitionResult>> {
    if tasks.is_empty() {
        return Ok(HashMap::new());
    }
    let who = match peer {
        Peer::Local { uid } => format!("the user with id {uid}"),
        Peer::Agent(_) | Peer::Unknown => "a user who is not known".to_owned(),
    };
    let words = format!("Cancelled by {who}");
    let at = workshop.now();
    let moves: Vec<Transition> = (tasks.iter())
        .map(|task| Transition {
            select: Selector::Task(task.id),
            to: Status::Cancelled,
            node: task.node.clone(),
            error_msg: Some(words.clone()),
            at,
            by: Mover::Operator,
            entry: Some(
                TimelineEntry::new(at, TimelineStep::Cancelled)
                    .asked(&who)
                    .detail("cancelled by the operator before its installer was begun"),
            ),
        })
        .collect();
    let mut results = write(workshop, &moves).await?;
    for result in &mut results {
        if let TransitionResult::Refused(Some(task)) = result
            && task.status == Status::Cancelled
            && task.error_msg.as_ref() == Some(&words)
        {
            // By the try of which nobody knew the outcome, or by the same user just now: it
            // was live a moment ago.
            *result = TransitionResult::Moved(task.clone());
        }
        if let TransitionResult::Moved(task) = result {
            workshop.in_hand.ended(task);
            info!(task = %task.id, agent = %task.agent, by = who, "a task was taken back");
        }
    }
    let ids = tasks.iter().map(|task| task.id);
    Ok(ids.zip(results).collect())
}

async fn write(workshop: &Workshop, moves: &[Transition]) -> StoreResult<Vec<TransitionResult>> {
    let mut tries = 1;
    loop {
        match workshop.store().transition(moves.to_vec()).await {
            // A second time changes nothing where the first took effect.
            Err(StoreError::Uncertain(_)) if tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// Why the store did not take a task back.
async fn why_not(workshop: &Workshop, task: &Task) -> StoreResult<CancelOutcome> {
    if !task.status.is_live() {
        return Ok(CancelOutcome::Ended);
    }
    match workshop.store().begun(task.id).await? {
        Some(_) => Ok(CancelOutcome::Begun),
        None => Ok(CancelOutcome::NotOurs),
    }
}

/// How it is told.
struct Show<'a> {
    workshop: &'a Workshop,
    times: TaskTimes,
}

impl<'a> Show<'a> {
    fn new(workshop: &'a Workshop) -> Self {
        Self {
            workshop,
            times: TaskTimes::new(workshop.settings.dialect),
        }
    }

    fn without(&self, agent: AgentId) -> Item {
        let told = TakenBack {
            agent,
            task_id: None,
            outcome: CancelOutcome::NoTask,
            rollout: None,
        };
        told.to_item(Item::task(TaskCode::Success, agent))
    }

    fn item(&self, task: Task, outcome: CancelOutcome) -> Item {
        self.told(task, outcome, None)
    }

    fn of_rollout(&self, task: Task, attempt: &Attempt) -> Item {
        match attempt.begun {
            true => self.told(task, CancelOutcome::Begun, None),
            false => self.told(task, CancelOutcome::OfRollout, Some(name_of(&attempt.key))),
        }
    }

    fn told(&self, task: Task, outcome: CancelOutcome, rollout: Option<&str>) -> Item {
        let told = TakenBack {
            agent: task.agent,
            task_id: Some(task.id),
            outcome,
            rollout: rollout.map(Into::into),
        };
        let id = AskedId::from(task.agent);
        let dialect = self.workshop.settings.dialect;
        told.to_item(result::show(id, task, dialect, &self.times))
    }
}
