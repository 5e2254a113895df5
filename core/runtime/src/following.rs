//! Those who follow the store's feed over the upgrade socket: how many may wait at a time,
//! and one look at the feed for all of them.

use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};
use wpk_api::{CancellationToken, Revision, StoreResult, TaskStore};

/// How many may wait for changes at a time; others are answered at once.
const WAITS: usize = 16;
/// How often the feed is looked at for those who wait.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// One per engine.
pub(crate) struct Following {
    waits: Semaphore,
    stopped: CancellationToken,
    /// When the feed was looked at last, and its newest change then.
    looked: Mutex<Option<(Instant, Revision)>>,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            waits: Semaphore::new(WAITS),
            stopped: CancellationToken::new(),
            looked: Mutex::new(None),
        }
    }
}

impl Following {
    /// Leave to wait; `None` where as many wait already as may.
    pub(crate) fn wait(&self) -> Option<SemaphorePermit<'_>> {
        self.waits.try_acquire().ok()
    }

    /// The daemon stops: nobody is made to wait any more.
    pub(crate) fn stop(&self) {
        self.stopped.cancel();
    }

    /// The newest change, as it was a moment ago: the store is asked once for all.
    pub(crate) async fn newest(&self, store: &dyn TaskStore) -> StoreResult<Revision> {
        let mut looked = self.looked.lock().await;
        if let Some((at, newest)) = *looked
            && at.elapsed() < LOOK_EVERY
        {
            return Ok(newest);
        }
        let newest = store.revision().await?;
        *looked = Some((Instant::now(), newest));
        Ok(newest)
    }

    /// Pauses until the next look. `false`: there is none before `until`, or the daemon stops.
    pub(crate) async fn pause(&self, until: Instant) -> bool {
        let next = Instant::now() + LOOK_EVERY;
        let paused = self
            .stopped
            .run_until_cancelled(sleep_until(next.min(until)));
        paused.await.is_some() && next < until
    }
}
