//! The task manager's clock: time-outs and clean-up (PROTOCOL.md, section 3), and
//! whether agents run what they were sent.
//!
//! `expire.rs` ends tasks that are without a word, `confirm.rs` compares versions,
//! both by `ages.rs`;
//! `ticks.rs` wakes them.

mod ages;
mod confirm;
mod expire;
mod ticks;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info};
use wpk_api::CancellationToken;
use wpk_config::TaskSettings;

use self::ages::Ages;
use self::ticks::every;
use crate::clock::whole_seconds;
use crate::workshop::Workshop;

const DAY: Duration = Duration::from_secs(86_400);

/// Runs until `stop`.
pub(crate) async fn run(workshop: Arc<Workshop>, stop: CancellationToken) {
    // The directory may be slow; time-outs do not wait for it.
    tokio::join!(keep_time(&workshop, &stop), confirm::run(&workshop, &stop));
}

async fn keep_time(workshop: &Workshop, stop: &CancellationToken) {
    let mut limits = workshop.limits.subscribe();
    let mut ages = Ages::new(workshop.tasks().task_timeout.0);
    let first_look = expire::first_look(workshop, &mut ages);
    if stop.run_until_cancelled(first_look).await.is_none() {
        return;
    }
    while !stop.is_cancelled() {
        let tasks = limits.borrow_and_update().tasks.clone();
        let other_times = async {
            tokio::select! {
                () = stop.cancelled() => {}
                // The workshop, which changes them, is there for as long as this.
                _ = limits.changed() => {}
            }
        };
        keep_times(workshop, &tasks, &mut ages, other_times).await;
    }
}

/// Time-outs and clean-up by these times, until there are others.
async fn keep_times(
    workshop: &Workshop,
    tasks: &TaskSettings,
    ages: &mut Ages,
    other_times: impl Future<Output = ()>,
) {
    let mut other_times = pin!(other_times);
    let (timeout, keep) = (tasks.task_timeout.0, tasks.cleanup_time.0);
    // Often enough that a time-out is late by a quarter at the most.
    let look = (timeout / 4).clamp(Duration::from_secs(1), Duration::from_secs(30));
    // Once a day; oftener where tasks are kept for less than that. Never at the
    // very start, when the administrator may want to see what was.
    let clean = keep.clamp(Duration::from_secs(1), DAY);
    let mut looks = every(look, look);
    let mut cleans = every(clean, clean.min(DAY / 24));
    loop {
        tokio::select! {
            () = &mut other_times => return,
            _ = looks.tick() => expire::expire(workshop, ages).await,
            _ = cleans.tick() => purge(workshop, keep).await,
        }
    }
}

async fn purge(workshop: &Workshop, keep: Duration) {
    let purged = async {
        let until = workshop.store_time().await?;
        let until = until.saturating_sub(whole_seconds(keep));
        workshop.store().purge(until).await
    };
    match purged.await {
        Ok(0) => debug!("no old tasks to delete"),
        Ok(deleted) => info!(deleted, "old tasks deleted"),
        Err(error) => error!(%error, "old tasks cannot be deleted; trying again tomorrow"),
    }
}
