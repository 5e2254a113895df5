//! The queue: takes waiting tasks from the store as slots become free and gives
//! each to an async task of its own. Memory is bounded by the number of slots,
//! not by the length of the queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use wpk_api::{CancellationToken, Claimed};

use super::carry_out;
use crate::engine::Shared;

/// The most tasks claimed in one transaction.
const MOST_AT_ONCE: usize = 64;
/// How often the queue looks although nobody woke it: another node may share
/// the store, and a store that failed may be back.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs until `stop`; deliveries that still run are in `running`.
pub(crate) async fn run(
    shared: Arc<Shared>,
    interrupted: Vec<Claimed>,
    running: TaskTracker,
    stop: CancellationToken,
) {
    let queue = Queue {
        slots: Arc::new(Semaphore::new(shared.settings.delivery.concurrency())),
        shared,
        running,
        stop,
    };
    // What a crash interrupted comes first: it has waited longest.
    for claimed in interrupted {
        let Some(slot) = queue.slot().await else {
            return;
        };
        info!(task = %claimed.task.id, agent = %claimed.task.agent, "an interrupted delivery begins anew");
        queue.begin(claimed, slot);
    }
    while let Some(first) = queue.slot().await {
        queue.round(first).await;
    }
}

struct Queue {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    running: TaskTracker,
    stop: CancellationToken,
}

impl Queue {
    /// A free slot, or `None` when the daemon stops.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            slot = self.slots.clone().acquire_owned() => slot.ok(),
        }
    }

    /// Claims as many tasks as there are free slots; waits if there are none.
    async fn round(&self, first: OwnedSemaphorePermit) {
        let mut slots = vec![first];
        while slots.len() < MOST_AT_ONCE {
            match self.slots.clone().try_acquire_owned() {
                Ok(slot) => slots.push(slot),
                Err(_) => break,
            }
        }
        let node = &self.shared.settings.node.name;
        let claimed = match self
            .shared
            .parts
            .store
            .claim(node, slots.len(), crate::clock::now())
            .await
        {
            Ok(claimed) => claimed,
            Err(error) => {
                error!(%error, "the queue cannot be read; trying again");
                Vec::new()
            }
        };
        if claimed.is_empty() {
            drop(slots);
            tokio::select! {
                () = self.shared.new_tasks.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.stop.cancelled() => {}
            }
            return;
        }
        for (claimed, slot) in claimed.into_iter().zip(slots) {
            self.begin(claimed, slot);
        }
    }

    fn begin(&self, claimed: Claimed, slot: OwnedSemaphorePermit) {
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        self.running.spawn(async move {
            carry_out(shared, claimed, stop).await;
            drop(slot);
        });
    }
}
