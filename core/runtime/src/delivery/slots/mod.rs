//! Slots: how many agents are written to at the same time
//! (`delivery.max_concurrent`). Nobody gets one before its file is here, and who waits
//! for something else afterwards steps aside, so that others can be written
//! to. How many there may be the settings say, or `pace`; who is taken from the queue
//! meanwhile, `turns`.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::debug;
use wpk_api::CancellationToken;
use wpk_config::Concurrency;

use super::awaited::Awaited;
use super::pace::{self, Answered, Pace, Used};
use super::turns::{Turn, Turns};
use crate::wishes::{WishId, Wishes};

/// What is there within this time is not worth giving the slot away for.
const NOT_WORTH_IT: Duration = Duration::from_millis(200);
/// What is on this machine is found within this time: who has not found it then waits,
/// and it is the next one's turn. No slot is held meanwhile.
const FOUND_WITHIN: Duration = Duration::from_millis(10);
/// The same where nobody is known who wants something else: a task that is looked at is
/// In progress from then on, and one whose file is about to come need not be passed by.
const FETCHED_WITHIN: Duration = Duration::from_millis(200);

/// All slots of an engine.
#[derive(Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    awaited: Arc<Awaited>,
    wishes: Arc<Wishes>,
    turns: Arc<Turns>,
    size: Arc<Mutex<Size>>,
}

/// How many slots there are.
struct Size {
    slots: usize,
    /// Of these, how many too many are in use: they vanish when they are given back.
    surplus: usize,
    /// Who says how many; `None` where the settings do.
    pace: Option<Pace>,
    /// Where others see how many there are.
    shown: Gauge,
}

impl Size {
    fn resize(&mut self, slots: usize, free: &Semaphore) {
        if slots >= self.slots {
            let more = slots - self.slots;
            let kept = more.min(self.surplus);
            self.surplus -= kept;
            free.add_permits(more - kept);
        } else {
            let fewer = self.slots - slots;
            self.surplus += fewer - free.forget_permits(fewer);
        }
        self.slots = slots;
        self.show();
    }

    fn show(&self) {
        self.shown
            .set(i64::try_from(self.slots).unwrap_or(i64::MAX));
    }
}

impl Slots {
    /// As many as `concurrency` says, or as answers allow; with `places` for tasks that
    /// were taken from the queue and are not over. `wishes` are those in the queue.
    pub(super) fn new(concurrency: Concurrency, places: usize, wishes: Arc<Wishes>) -> Self {
        let slots = concurrency.number().unwrap_or(pace::FEWEST);
        Self {
            free: Arc::new(Semaphore::new(slots)),
            awaited: Arc::default(),
            wishes,
            turns: Arc::new(Turns::new(places)),
            size: Arc::new(Mutex::new(Size {
                slots,
                surplus: 0,
                pace: concurrency.number().is_none().then(Pace::new),
                shown: Gauge::default(),
            })),
        }
    }

    /// Has a gauge show how many there are.
    pub(super) fn shown_by(self, gauge: Gauge) -> Self {
        let mut size = self.size();
        size.shown = gauge;
        size.show();
        drop(size);
        self
    }

    /// Changes how many there are; those in use stay so until they are given back.
    pub(super) fn resize(&self, concurrency: Concurrency) {
        let mut size = self.size();
        match concurrency.number() {
            Some(slots) => {
                size.pace = None;
                size.resize(slots, &self.free);
            }
            // From where it is.
            None if size.pace.is_none() => {
                size.pace = Some(Pace::new());
                let slots = size.slots.clamp(pace::FEWEST, pace::MOST);
                size.resize(slots, &self.free);
            }
            None => {}
        }
        drop(size);
        self.turns.slots_changed();
    }

    fn answered(&self, answered: Answered) {
        let mut size = self.size();
        let slots = size.slots;
        let used = match self.free.available_permits() {
            _ if size.surplus > 0 => Used::TooMany,
            0 => Used::All,
            _ => Used::Some,
        };
        let Some(pace) = &mut size.pace else { return };
        if let Some(wanted) = pace.answer(answered, Instant::now(), slots, used) {
            debug!(slots = wanted, before = slots, "deliveries at a time");
            size.resize(wanted, &self.free);
            drop(size);
            self.turns.slots_changed();
        }
    }

    fn give_back(&self, permit: Option<OwnedSemaphorePermit>) {
        let Some(permit) = permit else { return };
        let mut size = self.size();
        if size.surplus > 0 {
            size.surplus -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
        drop(size);
        self.turns.slots_changed();
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to take up to `most` tasks from the queue, as soon as it may be one, or
    /// `None` when the daemon stops.
    pub(super) async fn next(&self, stop: &CancellationToken, most: usize) -> Option<Vec<Slot>> {
        let same = || self.wishes.are_all(|wish| self.awaited.contains(wish));
        let turns = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            turns = self.turns.next(&self.free, most, &self.wishes, same) => turns,
        };
        let slot = |turn| Slot {
            permit: None,
            turn,
            slots: self.clone(),
        };
        Some(turns.into_iter().map(slot).collect())
    }
}

/// Leave to carry out a task, and, once it has [entered](Slot::enter), to write to its
/// agent; given back when dropped.
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    turn: Turn,
    slots: Slots,
}

impl Slot {
    /// Waits for the file that answers a wish, without a slot.
    pub(super) async fn for_file<T>(&mut self, wish: WishId, file: impl Future<Output = T>) -> T {
        self.leave();
        let mut file = pin!(file);
        let Slots {
            awaited, wishes, ..
        } = &self.slots;
        if !awaited.contains(wish) {
            let passed_by = async {
                tokio::time::sleep(FOUND_WITHIN).await;
                wishes
                    .other(|other| other == wish || awaited.contains(other))
                    .await;
            };
            tokio::select! {
                biased;
                here = &mut file => return here,
                () = passed_by => {}
                () = tokio::time::sleep(FETCHED_WITHIN) => {}
            }
        }
        // First: whoever takes the next turn knows that this one is waited for, and those
        // who come from now on know at once that they have to wait.
        let waits = awaited.enter(wish);
        self.turn
            .waits_for_file(self.slots.free.available_permits());
        let here = file.await;
        drop(waits);
        here
    }

    /// Waits for anything else that is needed before it enters.
    pub(super) async fn before<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        if let Ok(done) = tokio::time::timeout(FOUND_WITHIN, &mut event).await {
            return done;
        }
        self.turn.waits(self.slots.free.available_permits());
        event.await
    }

    /// Whether nobody has to be waited for to enter.
    pub(super) fn is_free(&self) -> bool {
        self.permit.is_some() || self.slots.free.available_permits() > 0
    }

    /// Waits for a slot, in the order of those who do.
    pub(super) async fn enter(&mut self) {
        if self.permit.is_none() {
            // Closed never: the semaphore lives as long as the queue.
            self.permit = self.slots.free.clone().acquire_owned().await.ok();
        }
        self.turn.goes();
    }

    /// Gives the slot back.
    pub(super) fn leave(&mut self) {
        self.slots.give_back(self.permit.take());
    }

    /// Waits for `event` without the slot, where it takes longer, and for a slot
    /// again after it.
    pub(super) async fn aside<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        match tokio::time::timeout(NOT_WORTH_IT, &mut event).await {
            Ok(done) => done,
            Err(_elapsed) => self.without(event).await,
        }
    }

    /// Waits for `event` without the slot, and for a slot again after it.
    pub(super) async fn without<T>(&mut self, event: impl Future<Output = T>) -> T {
        self.leave();
        let done = event.await;
        self.enter().await;
        done
    }
}

impl Slot {
    /// The agent answered a command, or did not (`came`). `quickest`: how long the
    /// quickest answer of this delivery took.
    pub(super) fn answered(&self, took: Duration, quickest: Duration, came: bool) {
        self.slots.answered(Answered {
            took,
            quickest,
            came,
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
