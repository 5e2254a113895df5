//! `upgrade_result`: the newest task of each agent as clients see it
//! (protocol.md, section 3).

use std::borrow::Cow;

use tracing::error;
use wpk_api::{AgentId, StoreError, Task};
use wpk_wire::task::{TaskTimes, show_status};
use wpk_wire::{Dialect, Item, Response, TaskCode, UpgradeCode};

use crate::engine::Shared;

/// The answer on the upgrade socket.
pub(super) async fn for_upgrade_socket(shared: &Shared, ids: &[i64]) -> Response {
    match items(shared, ids).await {
        Ok(items) => Response::success(items),
        Err(error) => {
            error!(%error, "tasks cannot be read");
            let item = |id: &i64| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
            Response::success(ids.iter().map(item).collect())
        }
    }
}

/// One item per id, in the order asked.
pub(super) async fn items(shared: &Shared, ids: &[i64]) -> Result<Vec<Item>, StoreError> {
    let tasks = latest(shared, ids).await?;
    let dialect = shared.settings.dialect;
    let times = TaskTimes::new(dialect);
    let item = |(id, task): (&i64, Option<Task>)| match task {
        Some(task) => show(*id, task, dialect, &times),
        None => Item::task(TaskCode::NoTask, *id),
    };
    Ok(ids.iter().zip(tasks).map(item).collect())
}

/// The newest task of each id; `None` also for what is no agent id.
pub(super) async fn latest(shared: &Shared, ids: &[i64]) -> Result<Vec<Option<Task>>, StoreError> {
    let agents: Vec<AgentId> = ids.iter().filter_map(|id| AgentId::new(*id).ok()).collect();
    let mut found = shared.parts.store.latest(&agents).await?.into_iter();
    let pick = |id: &i64| AgentId::new(*id).ok().and_then(|_| found.next().flatten());
    Ok(ids.iter().map(pick).collect())
}

fn show(id: i64, task: Task, dialect: Dialect, times: &TaskTimes) -> Item {
    Item {
        agent: Some(id),
        task_id: Some(task.id.0),
        node: Some(task.node),
        module: Some(task.module),
        command: Some(task.command.as_str().to_owned()),
        status: show_status(task.status.as_str(), dialect).map(Cow::Borrowed),
        error_msg: task.error_msg,
        create_time: Some(times.create(task.created)),
        update_time: times.update(task.updated),
        ..Item::default()
    }
}
