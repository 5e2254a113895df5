//! Turns: which tasks may be taken from the queue. As many as slots are free are looked
//! at, so that a task which nobody could write to yet waits in the store; but nobody
//! holds a slot for it. One that turns out to wait gives its turn to the next at once,
//! and those behind it are looked at more and more at a time, since they are likely to
//! wait as well. What has been taken and is not over has a place, and places are
//! bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The most tasks looked at at a time beyond the free slots. That many may have been
/// taken although there is no slot for them, if they did not have to wait after all.
const MOST_AHEAD: usize = 64;

/// All turns of an engine.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    looks: Mutex<Looks>,
    /// Something has changed for whoever waits for a turn: one waits at a time.
    changed: Notify,
}

#[derive(Default)]
struct Looks {
    /// Tasks of which it is not known yet whether they have to wait.
    looking: usize,
    /// How many of them there may be, where slots are free at all.
    ahead: usize,
}

impl Turns {
    /// With `places` for tasks that are not over.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            looks: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Up to `most` turns, as soon as there is one; `free` are the slots.
    pub(super) async fn next(self: &Arc<Self>, free: &Semaphore, most: usize) -> Vec<Turn> {
        // Closed never: the semaphore lives as long as this.
        let Ok(first) = self.places.clone().acquire_owned().await else {
            return Vec::new();
        };
        let room = loop {
            match self.room(free.available_permits()) {
                0 => self.changed.notified().await,
                room => break room.min(most),
            }
        };
        let more = (1..room).map_while(|_| self.places.clone().try_acquire_owned().ok());
        let places = std::iter::once(first).chain(more);
        let turns: Vec<Turn> = places.map(|place| self.turn(place)).collect();
        turns
    }

    fn turn(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Turn {
        self.looks().looking += 1;
        Turn {
            turns: self.clone(),
            looking: true,
            _place: place,
        }
    }

    fn room(&self, free: usize) -> usize {
        let looks = self.looks();
        match free {
            0 => 0,
            free => free.max(looks.ahead).saturating_sub(looks.looking),
        }
    }

    /// A slot became free, or there is another one.
    pub(super) fn slots_changed(&self) {
        self.changed.notify_one();
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to take one task from the queue; its place among those that are not over, until
/// it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    looking: bool,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// Whether it is not known yet if the task has to wait.
    pub(super) fn is_looking(&self) -> bool {
        self.looking
    }

    /// The task has to wait: it is the next one's turn. `free`: slots.
    pub(super) fn waits(&mut self, free: usize) {
        self.over(|looks| looks.ahead = (free.max(looks.ahead) + 1).min(MOST_AHEAD));
    }

    /// The task did not have to wait, and has its slot.
    pub(super) fn goes(&mut self) {
        self.over(|looks| looks.ahead = 0);
    }

    fn over(&mut self, learn: impl FnOnce(&mut Looks)) {
        if !std::mem::take(&mut self.looking) {
            return;
        }
        let mut looks = self.turns.looks();
        looks.looking = looks.looking.saturating_sub(1);
        learn(&mut looks);
        drop(looks);
        self.turns.changed.notify_one();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.over(|_| {});
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn now(turns: &Arc<Turns>, free: &Semaphore) -> Vec<Turn> {
        turns
            .next(free, usize::MAX)
            .now_or_never()
            .unwrap_or_default()
    }

    #[test]
    fn as_many_are_looked_at_as_slots_are_free_and_more_where_they_wait() {
        let (turns, free) = (Arc::new(Turns::new(1_000)), Semaphore::new(4));
        let mut first = now(&turns, &free);
        assert_eq!(first.len(), 4);
        assert_eq!(now(&turns, &free).len(), 0);
        let mut waiting = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..6 {
            for turn in &mut first {
                turn.waits(free.available_permits());
            }
            waiting.append(&mut first);
            first = now(&turns, &free);
            seen.push(first.len());
        }
        assert_eq!(seen, [8, 16, 32, 64, 64, 64]);
        for turn in &mut first {
            turn.goes();
        }
        assert_eq!(now(&turns, &free).len(), 4);
    }

    #[test]
    fn nothing_is_looked_at_while_no_slot_is_free() {
        let (turns, free) = (Arc::new(Turns::new(10)), Semaphore::new(0));
        assert_eq!(now(&turns, &free).len(), 0);
        free.add_permits(2);
        assert_eq!(now(&turns, &free).len(), 2);
    }

    #[test]
    fn no_more_are_taken_than_there_are_places() {
        let (turns, free) = (Arc::new(Turns::new(3)), Semaphore::new(8));
        let mut taken = now(&turns, &free);
        assert_eq!(taken.len(), 3);
        for turn in &mut taken {
            turn.waits(8);
        }
        assert_eq!(now(&turns, &free).len(), 0);
        taken.pop();
        assert_eq!(now(&turns, &free).len(), 1);
    }
}
