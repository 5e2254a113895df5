//! The queue: takes waiting tasks from the store while slots are free and gives
//! each to an async task of its own, which finds its file first and has a slot then.
//! Memory is bounded by the number of tasks that may be claimed at a time, not by the
//! length of the queue.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::{error, info};
use wpk_api::{CancellationToken, Claimed, StoreError, StoreResult, TaskId};

use super::carry_out::{Job, carry_out};
use super::slots::{Slot, Slots};
use super::staging;
use crate::wishes::WishId;
use crate::workshop::Workshop;

/// The most tasks claimed in one transaction.
const MOST_AT_ONCE: usize = 64;
/// The most tasks that are claimed and not over, most of them without a slot: further
/// ones wait in the store. Each costs about 5 KiB.
const MOST_CLAIMED: usize = 32_768;
/// The most that one which waits for its file takes of it, in bytes.
const LARGEST: usize = 4 * 1024;
/// How often the queue looks although nobody woke it: another node may share
/// the store, and a store that failed may be back.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks that fail between two lines of the log.
const TOLD_EVERY: u32 = 12;

/// Runs until `stop`; deliveries that still run are in `running`.
pub(crate) async fn run(
    workshop: Arc<Workshop>,
    interrupted: Vec<Claimed>,
    running: TaskTracker,
    stop: CancellationToken,
) {
    let mut limits = workshop.limits.subscribe();
    let concurrency = limits.borrow_and_update().delivery.max_concurrent;
    let slots = Slots::new(concurrency, MOST_CLAIMED, workshop.wishes.clone());
    let slots = slots.shown_by(workshop.metrics.slots.clone());
    let queue = Queue {
        slots: slots.clone(),
        workshop: workshop.clone(),
        running: running.clone(),
        stop: stop.clone(),
        failures: AtomicU32::new(0),
        doubt: AtomicBool::new(false),
    };
    let resize = async {
        while limits.changed().await.is_ok() {
            slots.resize(limits.borrow_and_update().delivery.max_concurrent);
        }
        // Nobody can change them any more.
        std::future::pending().await
    };
    tokio::select! {
        () = queue.run(interrupted) => {}
        () = resize => {}
        () = staging::run(&workshop, &slots, &running, &stop) => {}
    }
}

struct Queue {
    workshop: Arc<Workshop>,
    slots: Slots,
    running: TaskTracker,
    stop: CancellationToken,
    /// How often one after the other the store could not be read.
    failures: AtomicU32,
    /// Tasks may have been claimed of which we were not told.
    doubt: AtomicBool,
}

impl Queue {
    async fn run(self, interrupted: Vec<Claimed>) {
        // What a crash interrupted comes first: it has waited longest.
        // All are in hand at once, so that none is timed out while it waits for a slot.
        let jobs: Vec<Job> = (interrupted.into_iter())
            .map(|claimed| Job::begun_before(&self.workshop, claimed))
            .collect();
        for job in jobs {
            let Some(slot) = self
                .slots
                .next(&self.stop, 1)
                .await
                .and_then(|mut s| s.pop())
            else {
                return;
            };
            let task = job.task();
            info!(task = %task.id, agent = %task.agent, "an interrupted delivery begins anew");
            self.begin(job, slot);
        }
        while let Some(slots) = self.slots.next(&self.stop, MOST_AT_ONCE).await {
            self.round(slots).await;
        }
    }

    /// Claims as many tasks as there may be now; waits if there are none.
    async fn round(&self, slots: Vec<Slot>) {
        let claimed = self.claim(slots.len()).await;
        let claimed = self.read(claimed);
        if claimed.is_empty() {
            drop(slots);
            tokio::select! {
                () = self.workshop.new_tasks.notified() => {}
                () = self.workshop.store().stirred() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.stop.cancelled() => {}
            }
            return;
        }
        for (claimed, slot) in claimed.into_iter().zip(slots) {
            self.begin(Job::new(&self.workshop, claimed), slot);
        }
    }

    async fn claim(&self, most: usize) -> StoreResult<Vec<Claimed>> {
        let (store, node) = (self.workshop.store(), self.workshop.node());
        if self.doubt.load(Ordering::Relaxed) {
            let mut lost = store.interrupted(node, false).await?;
            let in_hand: HashSet<TaskId> = self.workshop.in_hand.ids().into_iter().collect();
            lost.retain(|one| !in_hand.contains(&one.task.id));
            self.doubt.store(lost.len() > most, Ordering::Relaxed);
            lost.truncate(most);
            if !lost.is_empty() {
                return Ok(lost);
            }
        }
        let wishes = &self.workshop.wishes;
        let look = wishes.look();
        let claimed = store.claim(node, most, self.workshop.now()).await;
        match &claimed {
            Ok(claimed) => {
                let orders = claimed.iter().filter_map(|one| one.order.as_ref().ok());
                orders.for_each(|order| wishes.taken(WishId::of(&order.wanted)));
                if claimed.len() < most {
                    wishes.empty(&look, !self.workshop.membership.has_neighbours());
                }
            }
            Err(StoreError::Uncertain(_)) => self.doubt.store(true, Ordering::Relaxed),
            Err(StoreError::Fenced(why)) => self.workshop.membership.is_shut_out(why),
            _ => {}
        }
        claimed
    }

    /// What was claimed. A store that stays away is told of once a minute.
    fn read(&self, claimed: StoreResult<Vec<Claimed>>) -> Vec<Claimed> {
        let error = match claimed {
            Ok(claimed) => {
                if self.failures.swap(0, Ordering::Relaxed) > 0 {
                    info!("the queue can be read again");
                }
                return claimed;
            }
            Err(error) => error,
        };
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(TOLD_EVERY) {
            error!(%error, "the queue cannot be read; trying again");
        }
        Vec::new()
    }

    fn begin(&self, job: Job, slot: Slot) {
        let (workshop, stop) = (self.workshop.clone(), self.stop.clone());
        let work = carry_out(workshop, Box::new(job), slot, stop);
        debug_assert!(size_of_val(&work) <= LARGEST, "{}", size_of_val(&work));
        self.running.spawn(work);
    }
}
