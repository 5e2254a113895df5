//! Turns: which tasks may be taken from the queue. As many as slots are free are looked
//! at, so that a task which nobody could write to yet waits in the store; but nobody
//! holds a slot for it. One that turns out to wait gives its turn to the next at once,
//! and those behind it are looked at more and more at a time, since they are likely to
//! wait as well; unless all of them want what is waited for, and would wait for nothing
//! but In progress. What has been taken and is not over has a place, and places are
//! bounded.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::wishes::Wishes;

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
    /// Tasks that wait for their file, or had to and have no slot yet.
    waiting: usize,
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

    /// Up to `most` turns, as soon as there is one; `free` are the slots. `same`: whether
    /// all that could be taken is of what is waited for, which `wishes` may change.
    pub(super) async fn next(
        self: &Arc<Self>,
        free: &Semaphore,
        most: usize,
        wishes: &Wishes,
        same: impl Fn() -> bool,
    ) -> Vec<Turn> {
        // Closed never: the semaphore lives as long as this.
        let Ok(first) = self.places.clone().acquire_owned().await else {
            return Vec::new();
        };
        let room = loop {
            let mut more = pin!(wishes.more());
            more.as_mut().enable();
            match self.room(free.available_permits(), same()) {
                0 => tokio::select! {
                    () = self.changed.notified() => {}
                    () = more => {}
                },
                room => break room.min(most),
            }
        };
        let more = (1..room).map_while(|_| self.places.clone().try_acquire_owned().ok());
        let places = std::iter::once(first).chain(more);
        places.map(|place| self.turn(place)).collect()
    }

    fn turn(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Turn {
        self.looks().looking += 1;
        Turn {
            turns: self.clone(),
            stands: Stands::Looking,
            _place: place,
        }
    }

    fn room(&self, free: usize, same: bool) -> usize {
        let looks = self.looks();
        match free {
            0 => 0,
            free if same => free.saturating_sub(looks.looking + looks.waiting),
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
    stands: Stands,
    _place: OwnedSemaphorePermit,
}

/// What is known of the task.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Not yet whether it has to wait.
    Looking,
    /// It has to wait for its file, or had to.
    Waiting,
    /// It waits for its agent, or has had its slot.
    Elsewhere,
}

impl Turn {
    /// The task has to wait for its file: it is the next one's turn. `free`: slots.
    pub(super) fn waits_for_file(&mut self, free: usize) {
        if self.stands == Stands::Looking {
            self.is(Stands::Waiting, |looks| looks.wait(free));
        }
    }

    /// The task has to wait for something else.
    pub(super) fn waits(&mut self, free: usize) {
        self.is(Stands::Elsewhere, |looks| looks.wait(free));
    }

    /// The task has its slot.
    pub(super) fn goes(&mut self) {
        let at_once = self.stands == Stands::Looking;
        self.is(Stands::Elsewhere, |looks| {
            if at_once {
                looks.ahead = 0;
            }
        });
    }

    fn is(&mut self, stands: Stands, learn: impl FnOnce(&mut Looks)) {
        let before = std::mem::replace(&mut self.stands, stands);
        if before == stands {
            return;
        }
        let mut looks = self.turns.looks();
        learn(&mut looks);
        if let Some(count) = looks.count(before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = looks.count(stands) {
            *count += 1;
        }
        drop(looks);
        self.turns.changed.notify_one();
    }
}

impl Looks {
    fn wait(&mut self, free: usize) {
        self.ahead = (free.max(self.ahead) + 1).min(MOST_AHEAD);
    }

    fn count(&mut self, stands: Stands) -> Option<&mut usize> {
        match stands {
            Stands::Looking => Some(&mut self.looking),
            Stands::Waiting => Some(&mut self.waiting),
            Stands::Elsewhere => None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.is(Stands::Elsewhere, |_| {});
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn now(turns: &Arc<Turns>, free: &Semaphore) -> Vec<Turn> {
        of(turns, free, false)
    }

    fn of(turns: &Arc<Turns>, free: &Semaphore, same: bool) -> Vec<Turn> {
        let wishes = Wishes::default();
        let next = turns.next(free, usize::MAX, &wishes, || same);
        next.now_or_never().unwrap_or_default()
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
                turn.waits_for_file(free.available_permits());
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
    fn who_would_wait_for_the_same_is_left_in_the_queue() {
        let (turns, free) = (Arc::new(Turns::new(1_000)), Semaphore::new(4));
        let mut first = of(&turns, &free, true);
        assert_eq!(first.len(), 4);
        for turn in &mut first {
            turn.waits_for_file(4);
        }
        assert_eq!(of(&turns, &free, true).len(), 0);
        assert_eq!(now(&turns, &free).len(), 8);
        // One of them is over, and another has its slot.
        drop(first.pop());
        free.forget_permits(1);
        first[0].goes();
        assert_eq!(of(&turns, &free, true).len(), 1);
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
            turn.waits_for_file(8);
        }
        assert_eq!(now(&turns, &free).len(), 0);
        taken.pop();
        assert_eq!(now(&turns, &free).len(), 1);
    }
}
