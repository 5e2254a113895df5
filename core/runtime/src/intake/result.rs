//! `upgrade_result`: the newest task of each agent as clients see it
//! (PROTOCOL.md, section 3).

use std::borrow::Cow;

use tracing::error;
use wpk_api::{AgentId, StoreError, Task};
use wpk_wire::task::{TaskTimes, show_status};
use wpk_wire::{AskedId, Dialect, Item, Response, TaskCode, UpgradeCode};

use super::asked::{Asked, agents, at_once};
use crate::workshop::Workshop;

/// The answer on the upgrade socket.
pub(super) async fn for_upgrade_socket(workshop: &Workshop, ids: &[AskedId]) -> Response {
    match items(workshop, ids).await {
        Ok(items) => Response::success(items),
        Err(error) => {
            error!(%error, "tasks cannot be read");
            let item = |id: &AskedId| Item::upgrade(UpgradeCode::TaskManagerCommunication, *id);
            Response::success(ids.iter().map(item).collect())
        }
    }
}

/// One item per id, in the order asked.
pub(super) async fn items(workshop: &Workshop, ids: &[AskedId]) -> Result<Vec<Item>, StoreError> {
    let dialect = workshop.settings.dialect;
    let times = TaskTimes::new(dialect);
    let item = |asked: Asked<Option<Task>>| match asked.found {
        Some(task) => show(asked.id, task, dialect, &times),
        None => Item::task(TaskCode::NoTask, asked.id),
    };
    let tasks = latest(workshop, ids).await?;
    Ok(tasks.into_iter().map(item).collect())
}

/// The newest task of each id; `None` also for what is nobody's id.
pub(super) async fn latest(
    workshop: &Workshop,
    ids: &[AskedId],
) -> Result<Vec<Asked<Option<Task>>>, StoreError> {
    let store = workshop.store();
    let call = |agents: Vec<AgentId>| async move { store.latest(&agents).await };
    let answered = at_once(agents(ids), |agent| ((), agent), call).await?;
    let task = |asked: Asked<(_, Option<Option<Task>>)>| asked.map(|(_, task)| task.flatten());
    Ok(answered.into_iter().map(task).collect())
}

/// A task as clients see it.
pub(super) fn show(id: AskedId, task: Task, dialect: Dialect, times: &TaskTimes) -> Item {
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
