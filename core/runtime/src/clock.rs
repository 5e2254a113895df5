//! The clock, in the unit of the task table. The engine is handed one: the
//! machine's, or one that follows tokio's, whose time a test can stop and move.
//!
//! Waiting is never the clock's business: whatever waits asks tokio's timers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wpk_api::UnixTime;

/// Tells the time that is stored with tasks, and by which certificates are judged.
pub trait Clock: Send + Sync {
    /// Now, in whole seconds since 1970-01-01 00:00:00 UTC. Asked often; must
    /// not block. Nothing is promised about its direction: an administrator may
    /// set a machine's clock back.
    fn now(&self) -> UnixTime;
}

/// The clock as the engine's rooms hold it.
pub(crate) type SharedClock = Arc<dyn Clock>;

/// The machine's clock; 0 on a machine whose clock is before 1970.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> UnixTime {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        whole_seconds(since)
    }
}

/// A clock that starts at a given time and goes on as tokio's timers do: where
/// tokio's time is paused it stands still, and `tokio::time::advance` moves it,
/// so that a time-out of the task table and a timer agree.
///
/// ```
/// # use std::time::Duration;
/// use wpk_runtime::{Clock, TimerClock};
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let clock = TimerClock::starting_at(1_700_000_000);
/// tokio::time::advance(Duration::from_secs(900)).await;
/// assert_eq!(clock.now(), 1_700_000_900);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TimerClock {
    epoch: UnixTime,
    since: Instant,
}

impl TimerClock {
    /// It is `epoch` (seconds since 1970 UTC) at this moment of tokio's time.
    pub fn starting_at(epoch: UnixTime) -> Self {
        Self {
            epoch,
            since: Instant::now(),
        }
    }
}

impl Clock for TimerClock {
    fn now(&self) -> UnixTime {
        self.epoch
            .saturating_add(whole_seconds(self.since.elapsed()))
    }
}

/// The length of `duration` in the unit of the task table, cut to whole seconds.
pub(crate) fn whole_seconds(duration: Duration) -> UnixTime {
    UnixTime::try_from(duration.as_secs()).unwrap_or(UnixTime::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_is_past_the_year_2020() {
        assert!(WallClock.now() > 1_577_836_800);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_clock_moves_with_timers_alone() {
        let clock = TimerClock::starting_at(100);
        assert_eq!(clock.now(), 100);
        tokio::time::sleep(Duration::from_millis(2_999)).await;
        assert_eq!(clock.now(), 102);
    }
}
