//! Which files are waited for. Who wants one of them need not find out anew that it
//! is not here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wpk_api::Wanted;

/// The wishes that somebody waits for, and how many do.
#[derive(Default)]
pub(super) struct Awaited(Mutex<HashMap<Wanted, usize>>);

impl Awaited {
    /// Whether somebody waits for it.
    pub(super) fn contains(&self, wanted: &Wanted) -> bool {
        self.wishes().contains_key(wanted)
    }

    /// One more waits for it, until the guard is dropped.
    pub(super) fn enter<'a>(&'a self, wanted: &'a Wanted) -> Waits<'a> {
        *self.wishes().entry(wanted.clone()).or_default() += 1;
        Waits {
            awaited: self,
            wanted,
        }
    }

    fn wishes(&self) -> MutexGuard<'_, HashMap<Wanted, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits.
pub(super) struct Waits<'a> {
    awaited: &'a Awaited,
    wanted: &'a Wanted,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut wishes = self.awaited.wishes();
        let Some(count) = wishes.get_mut(self.wanted) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            wishes.remove(self.wanted);
        }
    }
}
