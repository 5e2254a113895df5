//! The memory that all connections of a source share (`max_memory`): one half for
//! requests that arrive, the other for answers that are not read yet. What is small
//! is not counted: it is bounded by the number of connections, and never waits for
//! what is large.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Requests and answers of up to so many bytes are small; every 4.x client's are.
pub(crate) const SMALL: usize = 64 * 1024;
/// Memory is counted in pieces of so many bytes.
const PIECE: usize = 1024;
/// While somebody waits, those who keep the others waiting are told so often.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Answers that are there already and wait for room; more are thrown away, with
/// their connections.
const WAITING_ANSWERS: usize = 16;

/// What is left of it.
pub(crate) struct Memory {
    requests: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    /// Pieces of each half.
    half: usize,
    places: Semaphore,
    wanted: Notify,
}

/// Room for one request or answer; given back when dropped.
pub(crate) struct Room {
    _pieces: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// So many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let pieces = bytes / 2 / PIECE as u64;
        let half = usize::try_from(pieces).unwrap_or(usize::MAX);
        // What a semaphore can hold, and one call can take.
        let half = half.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            requests: Arc::new(Semaphore::new(half)),
            answers: Arc::new(Semaphore::new(half)),
            half,
            places: Semaphore::new(WAITING_ANSWERS),
            wanted: Notify::new(),
        }
    }

    /// Room for a request of `len` bytes, as soon as there is some.
    pub(crate) async fn for_request(&self, len: usize) -> Room {
        self.take(&self.requests, len).await
    }

    /// Room for an answer of `len` bytes, which exists already; `None` if too many
    /// wait for some.
    pub(crate) async fn for_answer(&self, len: usize) -> Option<Room> {
        if let Some(room) = self.at_once(&self.answers, len) {
            return Some(room);
        }
        let _place = self.places.try_acquire().ok()?;
        Some(self.take(&self.answers, len).await)
    }

    /// Returns each time somebody waits for memory that others have.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    fn at_once(&self, half: &Arc<Semaphore>, len: usize) -> Option<Room> {
        let _pieces = match self.pieces(len) {
            0 => None,
            pieces => Some(half.clone().try_acquire_many_owned(pieces).ok()?),
        };
        Some(Room { _pieces })
    }

    async fn take(&self, half: &Arc<Semaphore>, len: usize) -> Room {
        if let Some(room) = self.at_once(half, len) {
            return room;
        }
        let taken = half.clone().acquire_many_owned(self.pieces(len));
        let tell = async {
            loop {
                self.wanted.notify_waiters();
                tokio::time::sleep(TELL_EVERY).await;
            }
        };
        tokio::select! {
            // Never closed.
            taken = taken => Room { _pieces: taken.ok() },
            () = tell => Room { _pieces: None },
        }
    }

    /// What is larger than all of it gets all of it.
    fn pieces(&self, len: usize) -> u32 {
        if len <= SMALL {
            return 0;
        }
        let pieces = len.div_ceil(PIECE).min(self.half);
        u32::try_from(pieces).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_ones_wait_for_each_other_and_small_ones_for_nobody() {
        let memory = Memory::new(2 << 20);
        let first = memory.for_request(700 << 10).await;
        let late = Duration::from_secs(60);
        let second = memory.for_request(700 << 10);
        assert!(tokio::time::timeout(late, second).await.is_err());
        for small in [0, 1, SMALL] {
            memory.for_request(small).await;
            assert!(memory.for_answer(small).await.is_some());
        }
        // Answers have a half of their own.
        let answer = memory.for_answer(1 << 20).await;
        assert!(answer.is_some());
        drop(first);
        memory.for_request(700 << 10).await;
        // Larger than all of it: alone.
        memory.for_request(5 << 20).await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_answers_wait_and_who_keeps_them_waiting_is_told() {
        let memory = Arc::new(Memory::new(2 << 20));
        let held = memory.for_answer(1 << 20).await.unwrap();
        let wait = || {
            let memory = memory.clone();
            tokio::spawn(async move { memory.for_answer(SMALL + 1).await.is_some() })
        };
        let waiting: Vec<_> = (0..WAITING_ANSWERS).map(|_| wait()).collect();
        memory.wanted().await;
        assert!(!wait().await.unwrap(), "one too many");
        memory.wanted().await;
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        drop(held);
        for waiting in waiting {
            assert!(waiting.await.unwrap());
        }
    }
}
