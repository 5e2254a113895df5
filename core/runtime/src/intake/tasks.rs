//! `upgrade_tasks`: which tasks there are, newest first. Ours; a 4.x manager does not know it.

use std::collections::HashMap;

use tracing::{error, warn};
use wpk_api::{AgentId, StoreResult, Task, TaskPlace, TaskQuery, TimelineEntry};
use wpk_wire::own::{AskTimeline, ListTasks, ListedTask, NextPage};
use wpk_wire::{Item, Refusal, Response};

use super::timeline::Show;
use crate::workshop::Workshop;

/// How often the store is asked for one answer; each time it looks at as many tasks as a
/// page may have.
const MOST_LOOKS: usize = 16;

/// One page.
pub(super) async fn answer(workshop: &Workshop, asked: ListTasks) -> Result<Response, Refusal> {
    items(workshop, asked).await.map_or_else(
        |cause| {
            error!(%cause, "tasks cannot be listed");
            Err(Refusal::not_recognized(cause.to_string()))
        },
        |items| Ok(Response::success(items)),
    )
}

async fn items(workshop: &Workshop, asked: ListTasks) -> StoreResult<Vec<Item>> {
    let (tasks, mut next) = page(workshop, asked).await?;
    let names = names(workshop, &tasks).await;
    let show = Show::new(workshop.settings.dialect, 0);
    let mut items = Vec::with_capacity(tasks.len() + 1);
    let (mut size, mut last) = (0, None);
    for task in tasks {
        if size >= AskTimeline::LONGEST_ANSWER {
            next = last;
            break;
        }
        last = Some(TaskPlace::of(&task));
        let timeline = timeline(workshop, &task).await?;
        let listed = listed(workshop, &task, &names);
        let told = show.told(&task, &timeline);
        size += show.bytes(&told);
        items.push(listed.to_item(told.to_item(show.result(task))));
    }
    items.extend(next.map(|next| NextPage { next }.to_item()));
    Ok(items)
}

/// As many as the page may have, or as are found within [`MOST_LOOKS`]; and where to go on.
async fn page(
    workshop: &Workshop,
    asked: ListTasks,
) -> StoreResult<(Vec<Task>, Option<TaskPlace>)> {
    let most = asked.page();
    let mut query = TaskQuery {
        before: asked.before,
        agents: asked.agents,
        node: asked.node,
        since: asked.since,
        only: asked.only,
        limit: ListTasks::LONGEST_PAGE,
    };
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 0..MOST_LOOKS {
        let page = workshop.store().history(&query).await?;
        tasks.extend(page.tasks);
        query.before = page.next;
        if tasks.len() > most {
            tasks.truncate(most);
            query.before = tasks.last().map(TaskPlace::of);
        }
        if page.next.is_none() || tasks.len() >= most {
            break;
        }
    }
    Ok((tasks, query.before))
}

/// What the directory calls the agents; nothing where it cannot be asked.
async fn names(workshop: &Workshop, tasks: &[Task]) -> HashMap<AgentId, String> {
    let mut agents: Vec<AgentId> = tasks.iter().map(|task| task.agent).collect();
    agents.sort_unstable();
    agents.dedup();
    if agents.is_empty() {
        return HashMap::new();
    }
    let found = workshop.parts.directory.lookup(&agents).await;
    let found = found.unwrap_or_else(|error| {
        warn!(%error, "the names of agents cannot be read");
        Vec::new()
    });
    let name = |agent: wpk_api::AgentInfo| Some((agent.id, agent.name?));
    found.into_iter().filter_map(name).collect()
}

/// Of what lives nothing in it is told.
async fn timeline(workshop: &Workshop, task: &Task) -> StoreResult<Vec<TimelineEntry>> {
    match task.status.is_live() {
        true => Ok(Vec::new()),
        false => workshop.store().timeline(task.id).await,
    }
}

fn listed(workshop: &Workshop, task: &Task, names: &HashMap<AgentId, String>) -> ListedTask {
    let progress = (workshop.in_hand.of(task.agent))
        .filter(|progress| progress.task == task.id && task.status.is_live())
        .filter(|progress| progress.step.is_some());
    ListedTask {
        task_id: task.id,
        created: task.created,
        updated: task.updated,
        name: names.get(&task.agent).map(Into::into),
        step: progress.and_then(|progress| progress.step),
        sent: progress.map(|progress| progress.sent),
        total: progress
            .map(|progress| progress.total)
            .filter(|total| *total > 0),
    }
}
