//! The task manager's clock: time-outs and clean-up (protocol.md, section 3).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::{debug, error, info, warn};
use wpk_api::CancellationToken;

use crate::clock::whole_seconds;
use crate::workshop::Workshop;

const DAY: Duration = Duration::from_secs(86_400);

/// Runs until `stop`.
pub(crate) async fn run(workshop: Arc<Workshop>, stop: CancellationToken) {
    let tasks = &workshop.settings.tasks;
    let (timeout, keep) = (tasks.task_timeout.0, tasks.cleanup_time.0);
    // Often enough that a time-out is late by a quarter at the most.
    let look = (timeout / 4).clamp(Duration::from_secs(1), Duration::from_secs(30));
    // Once a day; oftener where tasks are kept for less than that. Never at the
    // very start, when the administrator may want to see what was.
    let clean = keep.clamp(Duration::from_secs(1), DAY);
    let mut looks = interval_at(Instant::now() + look, look);
    let mut cleans = interval_at(Instant::now() + clean.min(DAY / 24), clean);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    cleans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => expire(&workshop, timeout).await,
            _ = cleans.tick() => purge(&workshop, keep).await,
        }
    }
}

/// Tasks without an update for too long end as Timeout; those that are being
/// delivered right now are updated first.
async fn expire(workshop: &Workshop, timeout: Duration) {
    let (store, now) = (workshop.store(), workshop.now());
    let running = workshop.in_hand.ids();
    if !running.is_empty()
        && let Err(error) = store.touch(&running, now).await
    {
        // Without it running deliveries could be taken for dead.
        warn!(%error, "running tasks cannot be marked; no time-outs this time");
        return;
    }
    match store
        .expire(now.saturating_sub(whole_seconds(timeout)), now)
        .await
    {
        Ok(ended) => {
            for task in ended {
                warn!(task = %task.id, agent = %task.agent, "no word from the agent in time");
            }
        }
        Err(error) => error!(%error, "time-outs cannot be stored; trying again"),
    }
}

async fn purge(workshop: &Workshop, keep: Duration) {
    let until = workshop.now().saturating_sub(whole_seconds(keep));
    match workshop.store().purge(until).await {
        Ok(0) => debug!("no old tasks to delete"),
        Ok(deleted) => info!(deleted, "old tasks deleted"),
        Err(error) => error!(%error, "old tasks cannot be deleted; trying again tomorrow"),
    }
}
