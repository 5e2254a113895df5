//! The limit on bytes per second that all deliveries share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out time slots; without a limit it lets everything pass at once.
pub(crate) struct Bandwidth {
    /// 0: without a limit.
    bytes_per_second: AtomicU64,
    free_at: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second: AtomicU64::new(bytes_per_second.unwrap_or(0)),
            free_at: Mutex::new(None),
        }
    }

    /// Another limit from now on; who waits already keeps its slot.
    pub(crate) fn set(&self, bytes_per_second: Option<u64>) {
        let rate = bytes_per_second.unwrap_or(0);
        self.bytes_per_second.store(rate, Ordering::Relaxed);
    }

    /// Waits until `bytes` may be sent.
    pub(crate) async fn take(&self, bytes: usize) {
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
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
    async fn another_limit_counts_from_the_next_piece_on() {
        let limit = Bandwidth::new(None);
        limit.take(usize::MAX).await;
        limit.set(Some(1_000));
        let start = Instant::now();
        limit.take(1_000).await;
        limit.take(1).await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        limit.set(None);
        limit.take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let start = Instant::now();
        Bandwidth::new(None).take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
