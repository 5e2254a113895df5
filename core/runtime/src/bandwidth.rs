//! The limit on bytes per second that all deliveries share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out time slots; without a limit it lets everything pass at once.
pub(crate) struct Bandwidth {
    bytes_per_second: Option<u64>,
    free_at: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(None),
        }
    }

    /// Waits until `bytes` may be sent.
    pub(crate) async fn take(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) else {
            return;
        };
        let duration = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let slot = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let slot = free_at.filter(|at| *at > now).unwrap_or(now);
            *free_at = Some(slot + duration);
            slot
        };
        tokio::time::sleep_until(slot).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_pieces_take_the_time_of_their_bytes() {
        let limit = Bandwidth::new(Some(1_000));
        let start = Instant::now();
        for _ in 0..11 {
            limit.take(100).await;
        }
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(1_000) && took < Duration::from_millis(1_050),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let start = Instant::now();
        Bandwidth::new(None).take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
