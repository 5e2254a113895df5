//! The open operations of one library, and the thread that watches their
//! deadlines. Plain data under one lock: whoever changes it gets back what is
//! to be done, and does it after the lock is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wpk_abi::Operation;

use crate::operation::{Asked, Open, Stage};

const SERVE: Asked = Asked::Operation(Operation::Serve);
const SERVES: Asked = Asked::Operation(Operation::Serves);

/// The open operations of one library.
#[derive(Default)]
pub(crate) struct Deadlines {
    table: Mutex<Table>,
    wake: Condvar,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Open>,
    due: BTreeSet<(Instant, u64)>,
}

impl Table {
    fn remove(&mut self, token: u64) -> Option<Open> {
        let open = self.open.remove(&token)?;
        if let Some(due) = open.due {
            self.due.remove(&(due, token));
        }
        Some(open)
    }

    fn rearm(&mut self, token: u64, limit: Option<Duration>) {
        let Some(open) = self.open.get_mut(&token) else {
            return;
        };
        if let Some(due) = open.due {
            self.due.remove(&(due, token));
        }
        open.due = limit.map(|limit| Instant::now() + limit);
        if let Some(due) = open.due {
            self.due.insert((due, token));
        }
    }
}

/// What became of an operation that was taken back.
pub(crate) enum TakenBack {
    /// The plugin never saw it.
    Unseen(Open),
    /// The plugin has to be told so many times: what serves ends in order when
    /// it is told once, and at once when it is told again.
    Tell(u8),
    /// There is nothing to do.
    Nothing,
}

/// An operation whose deadline passed.
pub(crate) enum Overdue {
    /// It never got a thread.
    Queued(Open),
    /// The plugin has to be told to give it up, so many times now (0: when its
    /// function returned).
    Tell(u64, u8),
    /// The plugin was told and did not.
    Ignored(Open),
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// Adds an operation that waits for a thread.
    pub(crate) fn add(&self, token: u64, open: Open) {
        let mut table = self.lock();
        let limit = open.limit;
        table.open.insert(token, open);
        table.rearm(token, limit);
        self.wake.notify_one();
    }

    /// The plugin begins it; `false` if it was taken back before.
    pub(crate) fn begin(&self, token: u64) -> bool {
        let mut table = self.lock();
        let Some(open) = table.open.get_mut(&token) else {
            return false;
        };
        open.stage = Stage::Running;
        open.inside = true;
        let limit = open.limit;
        table.rearm(token, limit);
        true
    }

    /// The plugin's function that begins it returned; how often the plugin has to
    /// be told to give it up, which had to wait for this.
    pub(crate) fn returned(&self, token: u64) -> u8 {
        let mut table = self.lock();
        table.open.get_mut(&token).map_or(0, |open| {
            open.inside = false;
            std::mem::take(&mut open.owed)
        })
    }

    /// The plugin completes it; `None`: it is not open.
    pub(crate) fn complete(&self, token: u64) -> Option<Open> {
        self.lock().remove(token)
    }

    /// Nobody waits for it any more, or `listen` waits for its orderly end.
    pub(crate) fn take_back(&self, token: u64, grace: Duration, listen: bool) -> TakenBack {
        let mut table = self.lock();
        let Some(open) = table.open.get_mut(&token) else {
            return TakenBack::Nothing;
        };
        if !listen {
            open.done = None;
        }
        match open.stage {
            // Who asked for an orderly end does not wait for it any more.
            Stage::Cancelled if open.what == SERVE && !listen => TakenBack::Tell(open.tell(1)),
            Stage::Cancelled => TakenBack::Nothing,
            Stage::Queued => match table.remove(token) {
                Some(open) => TakenBack::Unseen(open),
                None => TakenBack::Nothing,
            },
            Stage::Running => {
                open.stage = Stage::Cancelled;
                let at_once = open.what == SERVE && !listen;
                let times = open.tell(if at_once { 2 } else { 1 });
                table.rearm(token, Some(grace));
                self.wake.notify_one();
                TakenBack::Tell(times)
            }
        }
    }

    /// Everything that is open; nothing is any more.
    pub(crate) fn take_all(&self) -> Vec<Open> {
        let mut table = self.lock();
        table.due.clear();
        table.open.drain().map(|(_, open)| open).collect()
    }

    /// Waits for the next operation whose deadline passes.
    pub(crate) fn wait(&self, grace: Duration) -> Overdue {
        let mut table = self.lock();
        loop {
            let now = Instant::now();
            let Some((due, token)) = table.due.first().copied() else {
                table = self
                    .wake
                    .wait(table)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if due > now {
                table = self
                    .wake
                    .wait_timeout(table, due - now)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(table, _)| table);
                continue;
            }
            let Some(open) = table.open.get_mut(&token) else {
                table.due.remove(&(due, token));
                continue;
            };
            // `serves` is asked by threads that must not wait: it has no grace.
            let patient = open.stage == Stage::Running && open.what != SERVES;
            if patient {
                open.stage = Stage::Cancelled;
                let times = open.tell(1);
                table.rearm(token, Some(grace));
                return Overdue::Tell(token, times);
            }
            let queued = open.stage == Stage::Queued;
            if let Some(open) = table.remove(token) {
                return if queued {
                    Overdue::Queued(open)
                } else {
                    Overdue::Ignored(open)
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handles::Handle;

    const GRACE: Duration = Duration::from_secs(60);

    fn running(what: Asked) -> Deadlines {
        let open = Open {
            what,
            about: Handle::None,
            due: None,
            limit: Some(GRACE),
            stage: Stage::Queued,
            inside: false,
            owed: 0,
            done: None,
        };
        let deadlines = Deadlines::default();
        deadlines.add(1, open);
        assert!(deadlines.begin(1));
        deadlines
    }

    #[test]
    fn a_plugin_is_told_only_after_its_function_returned() {
        let deadlines = running(Operation::Connected.into());
        assert!(matches!(
            deadlines.take_back(1, GRACE, false),
            TakenBack::Tell(0)
        ));
        assert_eq!(deadlines.returned(1), 1);
        assert_eq!(deadlines.returned(1), 0);

        let deadlines = running(Operation::Connected.into());
        assert_eq!(deadlines.returned(1), 0);
        assert!(matches!(
            deadlines.take_back(1, GRACE, false),
            TakenBack::Tell(1)
        ));
    }

    #[test]
    fn what_serves_is_owed_both_words() {
        let deadlines = running(SERVE);
        assert!(matches!(
            deadlines.take_back(1, GRACE, true),
            TakenBack::Tell(0)
        ));
        assert!(matches!(
            deadlines.take_back(1, GRACE, false),
            TakenBack::Tell(0)
        ));
        assert_eq!(deadlines.returned(1), 2);
    }

    #[test]
    fn nothing_is_owed_to_what_was_completed() {
        let deadlines = running(Operation::Connected.into());
        assert!(matches!(
            deadlines.take_back(1, GRACE, false),
            TakenBack::Tell(0)
        ));
        assert!(deadlines.complete(1).is_some());
        assert_eq!(deadlines.returned(1), 0);
    }
}
