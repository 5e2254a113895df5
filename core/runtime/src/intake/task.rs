//! The task socket (PROTOCOL.md, section 3).

use std::borrow::Cow;
use std::collections::HashMap;

use tracing::error;
use wpk_api::{
    AgentId, Cancel, Command, Created, Mover, NewTask, Selector, Status, StoreError, Task,
    Transition, TransitionResult,
};
use wpk_wire::{AskedId, Item, Response, TaskCode, TaskRequest};

use super::asked::{Asked, agents, at_once};
use super::result;
use crate::workshop::Workshop;

/// Answers one request.
pub(super) async fn answer(workshop: &Workshop, request: TaskRequest) -> Response {
    let answered = match request {
        TaskRequest::Create {
            node,
            module,
            command,
            agents,
            holds_order,
        } => {
            let like = Like {
                node,
                module,
                command: command.into(),
                held: holds_order,
            };
            create(workshop, &like, &agents).await
        }
        TaskRequest::GetStatus { node, agents } => status(workshop, &node, &agents).await,
        TaskRequest::UpdateStatus {
            node,
            agents,
            status,
            error_msg,
        } => update(workshop, &node, &agents, status, error_msg).await,
        TaskRequest::Result { agents } => result::items(workshop, &agents).await,
        TaskRequest::Cancel { node, holds_order } => cancel(workshop, &node, holds_order).await,
    };
    match answered {
        Ok(items) => Response::task(TaskCode::Success, items),
        Err(error) => {
            error!(%error, "a request of the task socket failed");
            let item = Item::of_request(TaskCode::Database);
            Response::task(TaskCode::Database, vec![item])
        }
    }
}

/// What the tasks of one request have in common.
struct Like {
    node: String,
    module: String,
    command: Command,
    held: bool,
}

/// New tasks that nobody but the asking module will carry out.
async fn create(
    workshop: &Workshop,
    like: &Like,
    ids: &[AskedId],
) -> Result<Vec<Item>, StoreError> {
    let created = workshop.now();
    let task = |agent: Option<AgentId>| {
        let task = agent.map(|agent| NewTask {
            agent,
            node: like.node.clone(),
            module: like.module.clone(),
            command: like.command.clone(),
            created,
            order: None,
            exclusive: false,
            held: like.held,
            fence: None,
        });
        ((), task)
    };
    let stored = at_once(agents(ids), task, |tasks| workshop.store().create(tasks)).await?;
    let item = |asked: Asked<(_, Option<Created>)>| match asked.found.1 {
        Some(Created::Task(task) | Created::AlreadyLive(task)) => Item::created(asked.id, task),
        // Nothing fences them.
        Some(Created::Fenced) | None => Item::task(TaskCode::DatabaseRequest, asked.id),
    };
    Ok(stored.into_iter().map(item).collect())
}

/// The stored status; a Pending task of another node of which nobody holds an order is
/// deleted, since the node that asks is about to create its own. One that somebody carries
/// out stays, and is shown.
async fn status(workshop: &Workshop, node: &str, ids: &[AskedId]) -> Result<Vec<Item>, StoreError> {
    let asked = result::latest(workshop, ids).await?;
    let foreign = |task: &Task| task.status == Status::Pending && task.node != node;
    let waiting: Vec<_> = (asked.iter())
        .filter_map(|asked| asked.found.as_ref())
        .filter(|task| foreign(task))
        .map(|task| task.id)
        .collect();
    let mut stay = HashMap::new();
    if !waiting.is_empty() {
        let store = workshop.store();
        let withdrawn = store.withdraw(&waiting).await?;
        if withdrawn < waiting.len() as u64 {
            let left = store.tasks(&waiting).await?.into_iter().flatten();
            stay.extend(left.map(|task| (task.id, task.status)));
        }
    }
    let stored = |task: Task| match foreign(&task) {
        true => stay.get(&task.id).cloned(),
        false => Some(task.status),
    };
    let item = |asked: Asked<Option<Task>>| Item {
        status: (asked.found.and_then(stored)).map(|status| Cow::Owned(status.as_str().to_owned())),
        ..Item::task(TaskCode::Success, asked.id)
    };
    Ok(asked.into_iter().map(item).collect())
}

async fn update(
    workshop: &Workshop,
    node: &str,
    ids: &[AskedId],
    status: Status,
    error_msg: Option<String>,
) -> Result<Vec<Item>, StoreError> {
    let at = workshop.now();
    // An agent's word, whoever passes it on.
    let is_report = matches!(status, Status::Done | Status::Failed);
    let move_of = |agent: Option<AgentId>| {
        let moved = agent.map(|agent| Transition {
            select: match is_report {
                true => Selector::SpokenOf(agent),
                false => Selector::LatestOf(agent),
            },
            to: status.clone(),
            node: node.to_owned(),
            error_msg: error_msg.clone(),
            at,
            by: match is_report {
                true => Mover::Report,
                false => Mover::Delivery,
            },
            entry: None,
        });
        ((), moved)
    };
    let store = workshop.store();
    let moved = at_once(agents(ids), move_of, |moves| store.transition(moves)).await?;
    let item = |asked: Asked<(_, Option<TransitionResult>)>| match asked.found.1 {
        Some(TransitionResult::Moved(_)) => Item::task(TaskCode::Success, asked.id),
        _ => Item::task(TaskCode::NoTask, asked.id),
    };
    Ok(moved.into_iter().map(item).collect())
}

/// A module that starts anew says that it forgot what it had to do. That is true of tasks
/// without an order: what a daemon of ours holds the order of goes on, here or on the node
/// that asks, unless that daemon itself takes it back.
async fn cancel(
    workshop: &Workshop,
    node: &str,
    holds_order: bool,
) -> Result<Vec<Item>, StoreError> {
    let which = match holds_order {
        true => Cancel::Pending,
        false => Cancel::WithoutOrder,
    };
    workshop.store().cancel(node, which, workshop.now()).await?;
    Ok(vec![Item::of_request(TaskCode::Success)])
}
