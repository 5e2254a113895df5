//! What the tasks want that wait in the queue, as far as this run knows: whether it is of
//! use to take one from it while another waits for its file. Where all want the same
//! file it is not: they would be In progress without anything being done about them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use wpk_api::Wanted;

/// Equal for equal wishes. Two others are alike once in 2^64, and then one waits for the
/// other's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WishId(u64);

impl WishId {
    pub(crate) fn of(wanted: &Wanted) -> Self {
        let mut hasher = DefaultHasher::new();
        wanted.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[derive(Default)]
struct Known {
    /// Of tasks that were made and not taken, how many have it.
    queued: HashMap<WishId, usize>,
    /// Whether these are all: nobody else makes tasks, and no run before left some.
    all: bool,
    /// How many requests made tasks.
    requests: u64,
}

/// The wishes in the queue.
#[derive(Default)]
pub(crate) struct Wishes {
    known: Mutex<Known>,
    more: Notify,
}

/// A look at the queue that may find it empty.
pub(crate) struct Look(u64);

impl Wishes {
    /// Tasks with these were made.
    pub(crate) fn made(&self, wishes: impl IntoIterator<Item = WishId>) {
        let mut known = self.known();
        known.requests += 1;
        for wish in wishes {
            *known.queued.entry(wish).or_default() += 1;
        }
        drop(known);
        self.more.notify_waiters();
    }

    /// A task with this one was taken from the queue.
    pub(crate) fn taken(&self, wish: WishId) {
        let mut known = self.known();
        let Some(count) = known.queued.get_mut(&wish) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            known.queued.remove(&wish);
        }
    }

    /// Before somebody looks into the queue.
    pub(crate) fn look(&self) -> Look {
        Look(self.known().requests)
    }

    /// Nothing was there. `alone`: nobody else makes tasks for this node.
    pub(crate) fn empty(&self, look: &Look, alone: bool) {
        let mut known = self.known();
        if known.requests == look.0 {
            known.queued.clear();
            known.all = alone;
        }
    }

    /// Tasks may have been made of which nothing is known.
    pub(crate) fn unsure(&self) {
        self.known().all = false;
        self.more.notify_waiters();
    }

    /// Whether only such wishes are left in the queue.
    pub(crate) fn are_all(&self, such: impl Fn(WishId) -> bool) -> bool {
        let known = self.known();
        known.all && known.queued.keys().all(|wish| such(*wish))
    }

    /// Returns when it is known that another than such wishes is in the queue.
    pub(crate) async fn other(&self, such: impl Fn(WishId) -> bool) {
        loop {
            let mut more = std::pin::pin!(self.more.notified());
            more.as_mut().enable();
            if self.known().queued.keys().any(|wish| !such(*wish)) {
                return;
            }
            more.await;
        }
    }

    /// Told at each request that makes tasks, from the moment it is asked for.
    pub(crate) fn more(&self) -> Notified<'_> {
        self.more.notified()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const A: WishId = WishId(1);
    const B: WishId = WishId(2);

    #[test]
    fn what_is_left_is_known_once_the_queue_was_empty() {
        let wishes = Wishes::default();
        let only_a = || wishes.are_all(|wish| wish == A);
        assert!(!only_a(), "an earlier run may have left something");
        let look = wishes.look();
        wishes.empty(&look, true);
        assert!(only_a());
        wishes.made([A, A, B]);
        assert!(!only_a());
        assert!(wishes.other(|wish| wish == A).now_or_never().is_some());
        wishes.taken(B);
        wishes.taken(A);
        assert!(only_a());
        assert!(wishes.other(|wish| wish == A).now_or_never().is_none());
        wishes.empty(&wishes.look(), false);
        assert!(!only_a(), "others make tasks");
    }

    #[test]
    fn a_look_from_before_a_request_says_nothing_of_it() {
        let wishes = Wishes::default();
        let look = wishes.look();
        wishes.made([B]);
        wishes.empty(&look, true);
        assert!(!wishes.are_all(|wish| wish == A));
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_another_wish() {
        let wishes = Wishes::default();
        let made = async {
            tokio::task::yield_now().await;
            wishes.made([A]);
            tokio::task::yield_now().await;
            wishes.made([B]);
        };
        tokio::join!(wishes.other(|wish| wish == A), made);
    }
}
