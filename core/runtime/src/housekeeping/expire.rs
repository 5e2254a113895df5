//! Time-outs: tasks that are In progress and without a word for too long.

use std::collections::HashSet;
use std::time::Duration;

use tracing::{error, warn};
use wpk_api::{Overdue, StoreResult, Task, TaskId, UnixTime};

use super::ages::Ages;
use crate::workshop::Workshop;

/// Tasks read from the store at a time.
const PAGE: usize = 10_000;
/// Between two tries of the first look.
const FIRST_LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Before anybody can set the clock: what an earlier run left is told from what
/// this one begins. A store that is away is asked until it answers: what is met for the
/// first time later would be judged by a clock that somebody may have set meanwhile.
pub(super) async fn first_look(workshop: &Workshop, ages: &mut Ages) {
    let (running, now) = loop {
        match looked(workshop).await {
            Ok(looked) => break looked,
            Err(_told) => tokio::time::sleep(FIRST_LOOK_AGAIN).await,
        }
    };
    ages.look(running.iter(), now);
}

/// Tasks without an update for too long end as Timeout; those that are being
/// delivered right now do not.
pub(super) async fn expire(workshop: &Workshop, ages: &mut Ages) {
    let timeout = workshop.tasks().task_timeout.0;
    let before = workshop.in_hand.ids();
    let looked = looked(workshop).await;
    let in_hand: HashSet<TaskId> = workshop.in_hand.ids().into_iter().collect();
    // Behind it, so that one that ends just now is in one of the two.
    ages.updated(&workshop.in_hand.given_up());
    let Ok((mut running, now)) = looked else {
        return;
    };
    leave_what_ended(workshop, before, &running).await;
    let store = workshop.store();
    running.retain(|task| !in_hand.contains(&task.id));
    let ages = ages.look(running.iter(), now);
    // A living node knows what it has in hand, which may wait there for long.
    let others = workshop.membership.others();
    let overdue = (running.iter().zip(ages))
        .filter(|(task, age)| *age >= timeout && !others.living.contains(&task.node));
    let overdue: Vec<_> = overdue
        .map(|(task, _)| Overdue {
            task: task.id,
            updated: task.updated,
        })
        .collect();
    // Also when there is none: a store that is not alone looks around then.
    match store.expire(&overdue, now).await {
        Ok(ended) => {
            for task in ended {
                warn!(task = %task.id, agent = %task.agent, "no word from the agent in time");
            }
        }
        Err(error) => error!(%error, "time-outs cannot be stored; trying again"),
    }
}

/// Another node, or another program, may have taken back what is being delivered here. Its
/// installer is not begun in any case; why send the rest.
async fn leave_what_ended(workshop: &Workshop, in_hand: Vec<TaskId>, running: &[Task]) {
    let running: HashSet<TaskId> = running.iter().map(|task| task.id).collect();
    let missing: Vec<TaskId> = (in_hand.into_iter())
        .filter(|task| !running.contains(task))
        .collect();
    if missing.is_empty() {
        return;
    }
    // What is sent ahead waits, and is not running.
    let now = workshop.store().tasks(&missing).await.unwrap_or_default();
    let ended = now.iter().flatten().filter(|task| !task.status.is_live());
    ended.for_each(|task| workshop.in_hand.ended(task));
}

/// All tasks that are In progress, and the time of their store.
async fn looked(workshop: &Workshop) -> StoreResult<(Vec<Task>, UnixTime)> {
    let now = workshop.store_time().await.inspect_err(|error| {
        warn!(%error, "the store's clock cannot be read; no time-outs this time");
    })?;
    Ok((running(workshop).await?, now))
}

/// All tasks that are In progress.
async fn running(workshop: &Workshop) -> StoreResult<Vec<Task>> {
    let mut running = Vec::new();
    loop {
        let after = running.last().map_or(TaskId(0), |task: &Task| task.id);
        match workshop.store().in_progress(after, PAGE).await {
            Ok(page) if page.is_empty() => return Ok(running),
            Ok(page) => running.extend(page),
            Err(error) => {
                warn!(%error, "running tasks cannot be read; no time-outs this time");
                return Err(error);
            }
        }
    }
}
