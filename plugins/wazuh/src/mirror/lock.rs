//! Waiting for the table's lock. The database daemon holds it from a first write until
//! 10 s after the last one, 60 s at most, and may take it again at once (PROTOCOL.md,
//! section 14): who looks rarely misses the moment in between, and SQLite has no queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wpk_api::ObserverError;

use super::table::TableError;

/// Between two looks at a locked table, which cost a few microseconds each.
const PAUSE: Duration = Duration::from_millis(4);

/// Tells a thread that nobody waits for it any more, when it is dropped.
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn token(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One wait for a locked table.
pub(super) struct Locked {
    since: Instant,
    within: Duration,
    stopped: Arc<AtomicBool>,
}

impl Locked {
    pub(super) fn within(within: Duration, stopped: Arc<AtomicBool>) -> Self {
        Self {
            since: Instant::now(),
            within,
            stopped,
        }
    }

    /// Whether somebody still waits for what is done.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Waits a moment; `false`: it has been long enough.
    pub(super) fn wait(&self) -> bool {
        if self.since.elapsed() >= self.within {
            return false;
        }
        thread::sleep(PAUSE);
        self.is_waited_for()
    }

    /// What the engine is told.
    pub(super) fn told(&self, error: TableError) -> ObserverError {
        if error.is_locked() {
            let waited = self.since.elapsed().as_secs();
            return ObserverError(format!(
                "{error}, for {waited} s; the manager's database daemon keeps it for a minute at most: look who else has it open"
            ));
        }
        ObserverError(error.to_string())
    }
}
