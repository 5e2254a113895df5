//! The task socket (protocol.md, section 3).

use std::borrow::Cow;

use tracing::error;
use wpk_api::{
    Command, Created, NewTask, Selector, Status, StoreError, Transition, TransitionResult,
};
use wpk_wire::task::CreateCommand;
use wpk_wire::{AskedId, Item, Response, TaskCode, TaskRequest};

use super::result;
use crate::workshop::Workshop as Shared;

/// Answers one request.
pub(super) async fn answer(shared: &Shared, request: TaskRequest) -> Response {
    let answered = match request {
        TaskRequest::Create {
            node,
            module,
            command,
            agents,
        } => create(shared, node, module, command, &agents).await,
        TaskRequest::GetStatus { node, agents } => status(shared, &node, &agents).await,
        TaskRequest::UpdateStatus {
            node,
            agents,
            status,
            error_msg,
        } => update(shared, &node, &agents, status, error_msg).await,
        TaskRequest::Result { agents } => result::items(shared, &agents).await,
        TaskRequest::Cancel { node } => cancel(shared, &node).await,
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

/// New tasks that nobody but the asking module will carry out.
async fn create(
    shared: &Shared,
    node: String,
    module: String,
    command: CreateCommand,
    ids: &[AskedId],
) -> Result<Vec<Item>, StoreError> {
    let command = Command::from(command);
    let created = shared.clock.now();
    let tasks = (ids.iter())
        .filter_map(|id| id.agent().ok())
        .map(|agent| NewTask {
            agent,
            node: node.clone(),
            module: module.clone(),
            command: command.clone(),
            created,
            order: None,
            exclusive: false,
        })
        .collect();
    let mut created = shared.parts.store.create(tasks).await?.into_iter();
    let item = |id: &AskedId| match id.agent().ok().and_then(|_| created.next()) {
        Some(Created::Task(task) | Created::AlreadyLive(task)) => Item::created(*id, task),
        None => Item::task(TaskCode::DatabaseRequest, *id),
    };
    Ok(ids.iter().map(item).collect())
}

/// The stored status; a Pending task of another node is deleted, since the
/// node that asks is about to create its own.
async fn status(shared: &Shared, node: &str, ids: &[AskedId]) -> Result<Vec<Item>, StoreError> {
    let tasks = result::latest(shared, ids).await?;
    let foreign = |task: &wpk_api::Task| task.status == Status::Pending && task.node != node;
    let withdrawn: Vec<_> = tasks
        .iter()
        .flatten()
        .filter(|task| foreign(task))
        .map(|task| task.id)
        .collect();
    if !withdrawn.is_empty() {
        shared.parts.store.withdraw(&withdrawn).await?;
    }
    let item = |(id, task): (&AskedId, Option<wpk_api::Task>)| Item {
        status: task
            .filter(|task| !foreign(task))
            .map(|task| Cow::Owned(task.status.as_str().to_owned())),
        ..Item::task(TaskCode::Success, *id)
    };
    Ok(ids.iter().zip(tasks).map(item).collect())
}

async fn update(
    shared: &Shared,
    node: &str,
    ids: &[AskedId],
    status: Status,
    error_msg: Option<String>,
) -> Result<Vec<Item>, StoreError> {
    let at = shared.clock.now();
    let moves = (ids.iter())
        .filter_map(|id| id.agent().ok())
        .map(|agent| Transition {
            select: Selector::LatestOf(agent),
            to: status.clone(),
            node: node.to_owned(),
            error_msg: error_msg.clone(),
            at,
        })
        .collect();
    let mut results = shared.parts.store.transition(moves).await?.into_iter();
    let item = |id: &AskedId| match id.agent().ok().and_then(|_| results.next()) {
        Some(TransitionResult::Moved(_)) => Item::task(TaskCode::Success, *id),
        _ => Item::task(TaskCode::NoTask, *id),
    };
    Ok(ids.iter().map(item).collect())
}

async fn cancel(shared: &Shared, node: &str) -> Result<Vec<Item>, StoreError> {
    shared.parts.store.cancel(node, shared.clock.now()).await?;
    Ok(vec![Item::of_request(TaskCode::Success)])
}
