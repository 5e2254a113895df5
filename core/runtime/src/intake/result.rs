//! `upgrade_result`: the newest task of each agent as clients see it
//! (protocol.md, section 3).

use std::borrow::Cow;

use tracing::error;
use wpk_api::{AgentId, StoreError, Task};
use wpk_wire::task::{TaskTimes, show_status};
use wpk_wire::{AskedId, Dialect, Item, Response, TaskCode, UpgradeCode};

use crate::workshop::Workshop as Shared;

/// The answer on the upgrade socket.
pub(super) async fn for_upgrade_socket(shared: &Shared, ids: &[AskedId]) -> Response {
    match items(shared, ids).await {
        Ok(items) => Response::success(items),
        Err(error) => {
            error!(%error, "tasks cannot be read");
            let item = |id: &AskedId| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
            Response::success(ids.iter().map(item).collect())
        }
    }
}

/// One item per id, in the order asked.
pub(super) async fn items(shared: &Shared, ids: &[AskedId]) -> Result<Vec<Item>, StoreError> {
    let tasks = latest(shared, ids).await?;
    let dialect = shared.settings.dialect;
    let times = TaskTimes::new(dialect);
    let item = |(id, task): (&AskedId, Option<Task>)| match task {
        Some(task) => show(*id, task, dialect, &times),
        None => Item::task(TaskCode::NoTask, *id),
    };
    Ok(ids.iter().zip(tasks).map(item).collect())
}

/// The newest task of each id; `None` also for what is no agent id.
pub(super) async fn latest(
    shared: &Shared,
    ids: &[AskedId],
) -> Result<Vec<Option<Task>>, StoreError> {
    let agents: Vec<AgentId> = ids.iter().filter_map(|id| id.agent().ok()).collect();
    let mut found = shared.parts.store.latest(&agents).await?.into_iter();
    let pick = |id: &AskedId| id.agent().ok().and_then(|_| found.next().flatten());
    Ok(ids.iter().map(pick).collect())
}

fn show(id: AskedId, task: Task, dialect: Dialect, times: &TaskTimes) -> Item {
    Item {
        agent: Some(id),
        task_id: Some(task.id),
        node: Some(task.node),
        module: Some(task.module),
        command: Some(task.command),
        status: show_status(&task.status, dialect).map(Cow::Borrowed),
        error_msg: task.error_msg,
        create_time: Some(times.create(task.created)),
        update_time: times.update(task.updated),
        ..Item::default()
    }
}
