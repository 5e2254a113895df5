//! Which files are waited for. Who wants one of them need not find out anew that it
//! is not here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::wishes::WishId;

/// The wishes that somebody waits for, and how many do.
#[derive(Default)]
pub(super) struct Awaited(Mutex<HashMap<WishId, usize>>);

impl Awaited {
    /// Whether somebody waits for it.
    pub(super) fn contains(&self, wish: WishId) -> bool {
        self.wishes().contains_key(&wish)
    }

    /// One more waits for it, until the guard is dropped.
    pub(super) fn enter(&self, wish: WishId) -> Waits<'_> {
        *self.wishes().entry(wish).or_default() += 1;
        Waits {
            awaited: self,
            wish,
        }
    }

    fn wishes(&self) -> MutexGuard<'_, HashMap<WishId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits.
pub(super) struct Waits<'a> {
    awaited: &'a Awaited,
    wish: WishId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut wishes = self.awaited.wishes();
        let Some(count) = wishes.get_mut(&self.wish) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            wishes.remove(&self.wish);
        }
    }
}
