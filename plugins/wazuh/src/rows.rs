//! How many questions the database daemon is asked at once on one connection.
//!
//! Nothing says that a daemon takes a question before it has answered the one before
//! (PROTOCOL.md, section 9). So it begins with two, and twice as many are asked each time that
//! all were answered, soon, and about the right agents. Where anything else came it is asked
//! one by one, and tried again after a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Questions in the first row, and in the longest.
const FIRST: usize = 2;
pub(crate) const LONGEST: usize = 32;
/// Of the time for one answer, what is waited for one in a row: 250 ms of 15 s. Whoever does
/// not read on is not waited for longer.
const PATIENCE: u32 = 60;
/// Of the same, what one in a row may take on average: 10 ms of 15 s. Slower ones are asked for
/// in short rows, since the daemon works off what is given up all the same, before what is
/// asked then.
const SOON: u32 = 1_500;
/// How long it is asked one by one before it is tried again.
const PAUSE: Duration = Duration::from_secs(60);

/// Of one daemon.
#[derive(Debug)]
pub(crate) struct Rows {
    /// For one answer.
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    length: usize,
    /// One by one until then.
    pause: Option<Instant>,
}

impl Rows {
    pub(crate) fn new(timeout: Duration) -> Self {
        let state = State {
            length: FIRST,
            pause: None,
        };
        Self {
            timeout,
            state: Mutex::new(state),
        }
    }

    /// How long an answer in a row is waited for.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout / PATIENCE
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many may be asked at once, 1 to [`LONGEST`].
    pub(crate) fn length(&self, now: Instant) -> usize {
        let mut state = self.state();
        if state.pause.is_some_and(|until| now < until) {
            return 1;
        }
        state.pause = None;
        state.length
    }

    /// So many were asked at once, and answered within this time.
    pub(crate) fn came(&self, asked: usize, took: Duration) {
        let mut state = self.state();
        if state.pause.is_some() {
            // It was asked before another row failed.
            return;
        }
        let each = took / u32::try_from(asked.max(1)).unwrap_or(u32::MAX);
        if each > self.timeout / SOON {
            state.length = (state.length / 2).max(FIRST);
        } else if asked >= state.length {
            state.length = (state.length * 2).min(LONGEST);
        }
    }

    /// A row did not end as it should.
    pub(crate) fn failed(&self, now: Instant, reason: &str) {
        tracing::debug!(
            reason,
            "the agent directory is asked one by one for a while"
        );
        *self.state() = State {
            length: FIRST,
            pause: now.checked_add(PAUSE),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(1);

    #[test]
    fn rows_grow_while_answers_come_soon() {
        let (rows, now) = (Rows::new(Duration::from_secs(15)), Instant::now());
        let mut seen = Vec::new();
        for _ in 0..6 {
            let length = rows.length(now);
            seen.push(length);
            rows.came(length, FAST);
        }
        assert_eq!(seen, [2, 4, 8, 16, 32, 32]);
        // The end of a batch, and those that began before it grew, say nothing.
        let rows = Rows::new(Duration::from_secs(15));
        rows.came(2, FAST);
        rows.came(2, FAST);
        rows.came(3, FAST);
        assert_eq!(rows.length(now), 4);
        rows.came(4, Duration::from_millis(39));
        rows.came(8, Duration::from_millis(81));
        rows.came(4, Duration::from_millis(41));
        assert_eq!(rows.length(now), 2);
        rows.came(2, Duration::from_secs(1));
        assert_eq!(rows.length(now), 2);
    }

    #[test]
    fn what_failed_is_tried_again_after_a_while() {
        let (rows, now) = (Rows::new(Duration::from_secs(15)), Instant::now());
        rows.came(2, FAST);
        rows.failed(now, "");
        assert_eq!(rows.length(now), 1);
        // One that was asked before that.
        rows.came(4, FAST);
        assert_eq!(rows.length(now + PAUSE - FAST), 1);
        assert_eq!(rows.length(now + PAUSE), FIRST);
    }
}
