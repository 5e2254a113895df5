//! What is left of the last run (`tasks.on_restart`), and what becomes of it.

use tracing::{error, info, warn};
use wpk_api::{
    Cancel, Cause, Claimed, Mover, Selector, Status, StoreError, TimelineEntry, TimelineStep,
    Transition,
};
use wpk_config::OnRestart;

use crate::failure::Failure;
use crate::workshop::Workshop;

/// Crashes of the daemon that a delivery may meet; the last one ends it.
const MOST_CRASHES: u32 = 2;

/// The deliveries that begin anew. `crash`: how the last run ended, if it crashed.
///
/// # Errors
/// The store cannot be read or written.
pub(crate) async fn recover(
    workshop: &Workshop,
    crash: Option<&str>,
) -> Result<Vec<Claimed>, StoreError> {
    let (store, node) = (workshop.store(), workshop.node());
    let now = workshop.now();
    // Nobody will ever carry them out: a table that was taken over.
    store.cancel(node, Cancel::Abandoned, now).await?;
    if workshop.settings.tasks.on_restart == OnRestart::Cancel {
        let cancelled = store.cancel(node, Cancel::NotBegun, now).await?;
        if cancelled > 0 {
            warn!(
                cancelled,
                "tasks whose installer was not begun were cancelled (tasks.on_restart = \"cancel\")"
            );
        }
        return Ok(Vec::new());
    }
    let interrupted = store.interrupted(node, crash.is_some()).await?;
    if !interrupted.is_empty() {
        info!(
            deliveries = interrupted.len(),
            "deliveries were interrupted by the last stop"
        );
    }
    let Some(crash) = crash else {
        return Ok(interrupted);
    };
    let survived = |one: &Claimed| one.crashes < MOST_CRASHES;
    let (again, hopeless): (Vec<_>, Vec<_>) = interrupted.into_iter().partition(survived);
    give_up(workshop, hopeless, crash).await?;
    Ok(again)
}

/// Ends deliveries that would only meet the next crash.
async fn give_up(workshop: &Workshop, tasks: Vec<Claimed>, crash: &str) -> Result<(), StoreError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let cause = format!("{}, lastly: {crash}", Failure::CRASHED);
    let failure = Failure::local(cause);
    let advice = "look at `wpkctl doctor`, correct or remove the plugin, then ask again";
    let now = workshop.now();
    let end = |one: &Claimed| {
        error!(task = %one.task.id, agent = %one.task.agent, "a delivery is given up: {}", failure.cause);
        let cause = Cause::new(failure.code.code().into(), &failure.cause, advice);
        Transition {
            select: Selector::Task(one.task.id),
            to: Status::Failed,
            node: workshop.node().to_owned(),
            error_msg: Some(failure.error_msg()),
            at: now,
            by: Mover::Delivery,
            entry: Some(TimelineEntry::new(now, TimelineStep::Resumed).failed(cause)),
        }
    };
    let ends = tasks.iter().map(end).collect();
    workshop.store().transition(ends).await.map(drop)
}
