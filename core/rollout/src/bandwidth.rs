//! Bytes to a site, spread evenly: the bucket that whoever sends asks before each piece.

use std::time::Duration;

use crate::definition::Rate;

/// Over any time of this length, no more bytes are let through than the rate allows.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Lets pieces through at a rate. It has no clock: the caller says when it is, as the time
/// since any moment, and never goes back.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Bytes per second at which pieces follow each other.
    pace: u64,
    /// When the next piece may go.
    next: Duration,
}

impl Bucket {
    /// A bucket for this rate and pieces of at most so many bytes. The pace is a little
    /// below the rate, so that a [`WINDOW`] with a piece at both of its ends holds no more
    /// than it may; with pieces of 64 KiB that is 6.6 kB/s.
    pub fn new(rate: Rate, largest_piece: u32) -> Self {
        let spared = u64::from(largest_piece).div_ceil(WINDOW.as_secs());
        Self {
            pace: rate.0.saturating_sub(spared).max(1),
            next: Duration::ZERO,
        }
    }

    /// Takes a piece of so many bytes, or says how long it is to wait.
    ///
    /// # Errors
    /// How long the caller has to wait before it asks again.
    pub fn take(&mut self, bytes: u32, now: Duration) -> Result<(), Duration> {
        if now < self.next {
            return Err(self.next - now);
        }
        let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(self.pace));
        let lasts = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.next = now.saturating_add(lasts);
        Ok(())
    }
}
