//! Slots: how many agents are written to at the same time
//! (`delivery.max_concurrent`). Nobody holds one whose file is not here, or who waits
//! for something else: such a delivery steps aside, so that others can be written
//! to. How many there may be the settings say, or `pace`.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::debug;
use wpk_api::{CancellationToken, Wanted};
use wpk_config::Concurrency;

use super::awaited::Awaited;
use super::pace::{self, Answered, Pace};

/// What is there within this time is not worth giving the slot away for, and another
/// task taken from the queue: a small file from near by takes less.
const NOT_WORTH_IT: Duration = Duration::from_millis(200);

/// All slots of an engine.
#[derive(Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    awaited: Arc<Awaited>,
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
    /// As many as `concurrency` says, or as answers allow.
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let slots = concurrency.number().unwrap_or(pace::FEWEST);
        Self {
            free: Arc::new(Semaphore::new(slots)),
            awaited: Arc::default(),
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
    }

    fn answered(&self, answered: Answered) {
        let mut size = self.size();
        let (slots, all_in_use) = (size.slots, self.free.available_permits() == 0);
        let Some(pace) = &mut size.pace else { return };
        if let Some(wanted) = pace.answer(answered, Instant::now(), slots, all_in_use) {
            debug!(slots = wanted, before = slots, "deliveries at a time");
            size.resize(wanted, &self.free);
        }
    }

    fn give_back(&self, permit: Option<OwnedSemaphorePermit>) {
        let Some(permit) = permit else { return };
        let mut size = self.size();
        if size.surplus > 0 {
            size.surplus -= 1;
            permit.forget();
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot as soon as one is free, or `None` when the daemon stops.
    pub(super) async fn next(&self, stop: &CancellationToken) -> Option<Slot> {
        // Closed never: the semaphore lives as long as the queue.
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            permit = self.free.clone().acquire_owned() => permit.ok(),
        };
        permit.map(|permit| self.slot(permit))
    }

    /// A slot if one is free now.
    pub(super) fn another(&self) -> Option<Slot> {
        let permit = self.free.clone().try_acquire_owned().ok();
        permit.map(|permit| self.slot(permit))
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot {
            permit: Some(permit),
            slots: self.clone(),
        }
    }
}

/// Leave to write to an agent, given back when dropped.
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Slots,
}

impl Slot {
    /// Waits for `event` without the slot, where it takes longer, and for a slot
    /// again after it.
    pub(super) async fn aside<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        match tokio::time::timeout(NOT_WORTH_IT, &mut event).await {
            Ok(done) => done,
            Err(_elapsed) => self.without(event).await,
        }
    }

    /// Waits for the file that answers a wish. Only the first who waits for one holds
    /// its slot, for a moment, until it is clear that it takes longer.
    pub(super) async fn for_file<T>(
        &mut self,
        wanted: &Wanted,
        file: impl Future<Output = T>,
    ) -> T {
        let mut file = pin!(file);
        if !self.slots.awaited.contains(wanted)
            && let Ok(here) = tokio::time::timeout(NOT_WORTH_IT, &mut file).await
        {
            return here;
        }
        let awaited = self.slots.awaited.clone();
        let waits = awaited.enter(wanted);
        self.slots.give_back(self.permit.take());
        let here = file.await;
        // Those who come from now on find it without waiting.
        drop(waits);
        self.without(std::future::ready(here)).await
    }

    /// Waits for `event` without the slot, and for a slot again after it.
    pub(super) async fn without<T>(&mut self, event: impl Future<Output = T>) -> T {
        self.slots.give_back(self.permit.take());
        let done = event.await;
        if self.permit.is_none() {
            self.permit = self.slots.free.clone().acquire_owned().await.ok();
        }
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
        self.slots.give_back(self.permit.take());
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use wpk_api::WantedFile;

    use super::*;

    fn wish(path: &str) -> Wanted {
        Wanted::File(WantedFile {
            path: Some(path.into()),
        })
    }

    /// A file that does not come, and another one that is here.
    #[tokio::test(start_paused = true)]
    async fn only_the_first_who_waits_for_a_file_keeps_its_slot_for_a_moment() {
        let (slots, stop) = (Slots::new(1.into()), CancellationToken::new());
        let began = tokio::time::Instant::now();
        for _ in 0..500 {
            let mut slot = slots.next(&stop).await.unwrap();
            tokio::spawn(async move {
                slot.for_file(&wish("/slow"), std::future::pending::<()>())
                    .await;
            });
        }
        let mut slot = slots.next(&stop).await.unwrap();
        slot.for_file(&wish("/here"), async {}).await;
        assert_eq!(began.elapsed(), NOT_WORTH_IT);
        assert!(slots.another().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_came_is_no_longer_waited_for() {
        let (slots, stop) = (Slots::new(1.into()), CancellationToken::new());
        let mut slot = slots.next(&stop).await.unwrap();
        let late = tokio::time::sleep(Duration::from_secs(1));
        slot.for_file(&wish("/late"), late).await;
        let watched = async { slots.another().is_none() };
        assert!(slot.for_file(&wish("/late"), watched).await, "kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_long_steps_aside_and_comes_back_in_its_turn() {
        let (slots, stop) = (Slots::new(1.into()), CancellationToken::new());
        let mut first = slots.next(&stop).await.unwrap();
        assert!(slots.another().is_none());
        let (tell, told) = oneshot::channel();
        let waiting = tokio::spawn(async move {
            first.aside(told).await.unwrap();
            first
        });
        let second = slots.next(&stop).await.unwrap();
        tell.send(()).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished(), "the slot is another's now");
        drop(second);
        let first = waiting.await.unwrap();
        assert!(slots.another().is_none());
        drop(first);
        assert!(slots.another().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gives_its_slot_away_for_a_moment() {
        let (slots, stop) = (Slots::new(1.into()), CancellationToken::new());
        let mut slot = slots.next(&stop).await.unwrap();
        let watched = async {
            tokio::time::sleep(NOT_WORTH_IT / 2).await;
            slots.another().is_none()
        };
        assert!(slot.aside(watched).await);
    }

    #[tokio::test]
    async fn slots_can_become_more_and_fewer_while_they_are_in_use() {
        let (slots, stop) = (Slots::new(3.into()), CancellationToken::new());
        let mut used = Vec::new();
        for _ in 0..2 {
            used.push(slots.next(&stop).await.unwrap());
        }
        slots.resize(1.into());
        assert!(slots.another().is_none());
        drop(used.pop());
        assert!(slots.another().is_none(), "one too many is in use");
        slots.resize(2.into());
        let second = slots.another().unwrap();
        assert!(slots.another().is_none());
        slots.resize(4.into());
        used.extend([slots.another().unwrap(), slots.another().unwrap()]);
        assert!(slots.another().is_none());
        drop((used, second));
        for slot in [slots.another(), slots.another(), slots.another()] {
            std::mem::forget(slot.unwrap());
        }
        assert!(slots.another().is_some());
        let last = slots.another().unwrap();
        assert!(slots.another().is_none());
        drop(last);
    }

    #[tokio::test]
    async fn a_daemon_that_stops_hands_out_none() {
        let (slots, stop) = (Slots::new(1.into()), CancellationToken::new());
        stop.cancel();
        assert!(slots.next(&stop).await.is_none());
    }
}
