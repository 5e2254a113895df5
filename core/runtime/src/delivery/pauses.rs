//! How long to wait before something is tried again.

use std::time::Duration;

use tokio::time::sleep;
use wpk_api::CancellationToken;

/// Pauses between attempts to write something down that must not be lost.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Pause between two whole deliveries of one task.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);

/// The daemon stops: there is no next time.
pub(super) struct Stopped;

/// Waits before the next attempt at a delivery.
pub(super) async fn between_attempts(stop: &CancellationToken) -> Result<(), Stopped> {
    wait(BETWEEN_ATTEMPTS, stop).await
}

/// Pauses that become longer each time.
pub(super) struct Growing {
    next: Duration,
}

impl Growing {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// How long the next pause is going to be.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Makes the next pause longer.
    pub(super) fn grow(&mut self) {
        self.next = (self.next * 2).min(LONGEST);
    }

    pub(super) async fn wait(&mut self, stop: &CancellationToken) -> Result<(), Stopped> {
        let pause = self.next;
        self.grow();
        wait(pause, stop).await
    }
}

async fn wait(pause: Duration, stop: &CancellationToken) -> Result<(), Stopped> {
    tokio::select! {
        () = sleep(pause) => Ok(()),
        () = stop.cancelled() => Err(Stopped),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_half_a_minute_and_end_with_the_daemon() {
        let stop = CancellationToken::new();
        let (mut pauses, start) = (Growing::new(), Instant::now());
        let mut lengths = Vec::new();
        for _ in 0..8 {
            lengths.push(pauses.next().as_millis());
            assert!(pauses.wait(&stop).await.is_ok());
        }
        assert_eq!(
            lengths,
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
        );
        assert_eq!(start.elapsed().as_millis(), lengths.iter().sum::<u128>());
        stop.cancel();
        assert!(pauses.wait(&stop).await.is_err());
        assert!(between_attempts(&stop).await.is_err());
    }
}
