//! The queue: takes waiting tasks from the store as slots become free and gives
//! each to an async task of its own. A delivery that waits for a repository or
//! for its agent steps aside meanwhile, so that others can be written to. Memory
//! is bounded by the number of slots and of those aside, not by the length of
//! the queue.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use wpk_api::{CancellationToken, Claimed};

use super::carry_out;
use crate::engine::Shared;
use crate::progress::Held;

/// The most tasks claimed in one transaction.
const MOST_AT_ONCE: usize = 64;
/// Deliveries that may wait without a slot; more keep theirs.
const MOST_ASIDE: usize = 1024;
/// What is there within this time is not worth giving the slot away for.
const NOT_WORTH_IT: Duration = Duration::from_millis(200);
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
        aside: Arc::new(Semaphore::new(MOST_ASIDE)),
        shared,
        running,
        stop,
    };
    // What a crash interrupted comes first: it has waited longest.
    // All are held at once, so that none is timed out while it waits for a slot.
    let jobs: Vec<Job> = (interrupted.into_iter())
        .map(|claimed| Job::begun_before(&queue.shared, claimed))
        .collect();
    for job in jobs {
        let Some(slot) = queue.slot().await else {
            return;
        };
        let task = &job.claimed.task;
        info!(task = %task.id, agent = %task.agent, "an interrupted delivery begins anew");
        queue.begin(job, slot);
    }
    while let Some(first) = queue.slot().await {
        queue.round(first).await;
    }
}

/// A claimed task that is not timed out as long as this is there.
pub(super) struct Job {
    pub(super) claimed: Claimed,
    pub(super) held: Held,
    /// Whole deliveries it may take.
    pub(super) attempts: u32,
}

impl Job {
    fn new(shared: &Arc<Shared>, claimed: Claimed) -> Self {
        Self {
            held: Held::new(shared, claimed.task.id),
            claimed,
            attempts: shared.settings.delivery.attempts.max(1),
        }
    }

    /// What an earlier run of the daemon was writing may still reach the agent
    /// and spoil the file; that attempt does not count.
    fn begun_before(shared: &Arc<Shared>, claimed: Claimed) -> Self {
        let job = Self::new(shared, claimed);
        Self {
            attempts: job.attempts.saturating_add(1),
            ..job
        }
    }
}

/// Leave to write to an agent (`delivery.max_concurrent`).
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

impl Slot {
    /// Waits for `event` without the slot, where it takes longer, and for a slot
    /// again after it.
    pub(super) async fn aside<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        if let Ok(done) = tokio::time::timeout(NOT_WORTH_IT, &mut event).await {
            return done;
        }
        let place = self.aside.clone().try_acquire_owned();
        if place.is_ok() {
            self.permit = None;
        }
        let done = event.await;
        if self.permit.is_none() {
            // Closed never: the semaphore lives as long as the queue.
            self.permit = self.slots.clone().acquire_owned().await.ok();
        }
        done
    }
}

struct Queue {
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    aside: Arc<Semaphore>,
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
            .claim(node, slots.len(), self.shared.clock.now())
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
            self.begin(Job::new(&self.shared, claimed), slot);
        }
    }

    fn begin(&self, job: Job, permit: OwnedSemaphorePermit) {
        let slot = Slot {
            permit: Some(permit),
            slots: self.slots.clone(),
            aside: self.aside.clone(),
        };
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        self.running.spawn(carry_out(shared, job, slot, stop));
    }
}
