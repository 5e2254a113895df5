//! Slots: how many agents are written to at the same time
//! (`delivery.max_concurrent`). Who waits for something else steps aside
//! meanwhile, so that others can be written to.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wpk_api::CancellationToken;

/// Deliveries that may wait without a slot; more keep theirs.
const MOST_ASIDE: usize = 1024;
/// What is there within this time is not worth giving the slot away for.
const NOT_WORTH_IT: Duration = Duration::from_millis(200);

/// All slots of an engine.
#[derive(Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    aside: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(slots)),
            aside: Arc::new(Semaphore::new(MOST_ASIDE)),
        }
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

    /// Waits for `event` without the slot, and for a slot again after it.
    pub(super) async fn without<T>(&mut self, event: impl Future<Output = T>) -> T {
        let place = self.slots.aside.clone().try_acquire_owned();
        if place.is_ok() {
            self.permit = None;
        }
        let done = event.await;
        if self.permit.is_none() {
            self.permit = self.slots.free.clone().acquire_owned().await.ok();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_long_steps_aside_and_comes_back_in_its_turn() {
        let (slots, stop) = (Slots::new(1), CancellationToken::new());
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
        let (slots, stop) = (Slots::new(1), CancellationToken::new());
        let mut slot = slots.next(&stop).await.unwrap();
        let watched = async {
            tokio::time::sleep(NOT_WORTH_IT / 2).await;
            slots.another().is_none()
        };
        assert!(slot.aside(watched).await);
    }

    #[tokio::test]
    async fn a_daemon_that_stops_hands_out_none() {
        let (slots, stop) = (Slots::new(1), CancellationToken::new());
        stop.cancel();
        assert!(slots.next(&stop).await.is_none());
    }
}
