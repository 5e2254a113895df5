//! What stands where an observer writes, against the store. Others write there too:
//! a 4.x manager's own module makes tasks while we are away, cancels and times out
//! what it finds, and notes what agents told it.

use tracing::{debug, info, warn};
use wpk_api::{
    Change, Changed, Imported, Mover, ObserverError, Revision, Selector, Status, StoreError, Task,
    TaskId, TimelineEntry, TimelineStep, Transition, TransitionResult,
};

use super::asked::asked;
use crate::parts::NamedObserver;
use crate::workshop::Workshop;

/// Tasks looked at at a time.
const PAGE: usize = 1_000;

/// Why it was not compared to the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompareError {
    /// The observer cannot tell.
    #[error(transparent)]
    Observer(#[from] ObserverError),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes over what others made and what agents told them; returns the tasks of ours
/// that do not stand there as they are.
pub(super) async fn compare(
    workshop: &Workshop,
    named: &NamedObserver,
) -> Result<Vec<Change>, CompareError> {
    let (store, mut after) = (workshop.store(), TaskId(0));
    let mut differing = Vec::new();
    let (mut new, mut followed) = (0_usize, 0_usize);
    loop {
        let shown = asked(&named.observer, move |observer| async move {
            observer.shown(after, PAGE).await
        })
        .await?;
        let Some(last) = shown.last().map(|task| task.id) else {
            break;
        };
        if last <= after {
            let what = format!("it shows task {last} again after task {after}");
            return Err(ObserverError(what).into());
        }
        after = last;
        let ids: Vec<TaskId> = shown.iter().map(|task| task.id).collect();
        let here = store.tasks(&ids).await?;
        let unlike = |(shown, here): (Task, Option<Task>)| {
            let alike = here.is_some_and(|here| stands(&here, &shown));
            (!alike).then_some(shown)
        };
        let unlike: Vec<Task> = shown.into_iter().zip(here).filter_map(unlike).collect();
        if unlike.is_empty() {
            continue;
        }
        for (shown, imported) in unlike.iter().zip(store.import(unlike.clone()).await?) {
            match imported {
                Imported::New(_) => new += 1,
                Imported::Followed(_) => followed += 1,
                Imported::Own(id) => differing.extend(own(workshop, id, shown).await?),
                Imported::Unchanged(_) | Imported::Deleted => {}
            }
        }
    }
    if new + followed > 0 {
        info!(
            observer = named.name,
            new,
            changed = followed,
            "tasks of others were taken over, as they stand there"
        );
    }
    Ok(differing)
}

/// A task of ours that stands there otherwise: an agent's word, which counts, or
/// something to be put right.
async fn own(workshop: &Workshop, id: TaskId, shown: &Task) -> Result<Option<Change>, StoreError> {
    let Some(here) = workshop
        .store()
        .tasks(&[id])
        .await?
        .into_iter()
        .flatten()
        .next()
    else {
        return Ok(None);
    };
    if stands(&here, shown) {
        return Ok(None);
    }
    let mut task = here;
    if matches!(shown.status, Status::Done | Status::Failed) && task.status != shown.status {
        let word = word(workshop, &task, shown);
        match workshop.store().transition(vec![word]).await?.pop() {
            Some(TransitionResult::Moved(moved)) => {
                info!(task = %id, agent = %moved.agent, status = %moved.status, "the agent reported to somebody else");
                task = moved;
            }
            _ => {
                debug!(task = %id, status = %shown.status, "a word that is not about this task, or comes too late");
            }
        }
    }
    if task.status != shown.status {
        warn!(task = %task.id, agent = %task.agent, status = %task.status, there = %shown.status, "somebody else changed this task where it is shown; it is put right there");
    }
    // A correction has no number of its own: the place in the feed stays.
    Ok(Some(Change {
        revision: Revision(0),
        changed: Changed::Task(task),
        was: None,
    }))
}

/// What an agent told somebody else, as a move of our task. It counts only if its
/// installer was begun, which is for the store to say.
fn word(workshop: &Workshop, task: &Task, shown: &Task) -> Transition {
    let at = workshop.now();
    let said = shown.error_msg.as_deref().unwrap_or_default();
    let entry = TimelineEntry::new(at, TimelineStep::Report)
        .asked(&format!(
            "agent {}, through the manager's own module",
            task.agent
        ))
        .detail(said);
    Transition {
        select: Selector::Task(task.id),
        to: shown.status.clone(),
        node: task.node.clone(),
        error_msg: shown.error_msg.clone(),
        at: shown.updated.unwrap_or(at),
        by: Mover::Report,
        entry: Some(entry),
    }
}

/// Whether a task stands there as it is.
fn stands(here: &Task, shown: &Task) -> bool {
    here.is_same_as(shown)
        && here.status == shown.status
        && here.updated == shown.updated
        && here.error_msg == shown.error_msg
}
