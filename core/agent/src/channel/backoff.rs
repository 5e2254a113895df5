//! How long to wait before dialling again: longer each time, up to a longest
//! pause, and never the same for all agents of a manager that went away.

use std::time::Duration;

/// Share of a pause that is certain; the rest is chance.
const CERTAIN: f64 = 0.25;

/// The pauses between attempts.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// From `first` to `longest`.
    pub(crate) fn set_bounds(&mut self, first: Duration, longest: Duration) {
        (self.first, self.longest) = (first, longest);
        self.next = self.next.clamp(first, longest);
    }

    /// The next pause; `chance` is from 0 to 1.
    pub(crate) fn next(&mut self, chance: f64) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        spread(pause, chance)
    }

    /// The longest pause; those after it are no shorter.
    pub(crate) fn longest(&mut self, chance: f64) -> Duration {
        self.next = self.longest;
        spread(self.longest, chance)
    }

    /// A connection ended after that time. One as long as the next pause makes dialling
    /// no more frequent than waiting would: it begins anew.
    pub(crate) fn lasted(&mut self, time: Duration) {
        if time >= self.next {
            self.next = self.first;
        }
    }
}

fn spread(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(CERTAIN + (1.0 - CERTAIN) * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        backoff.set_bounds(Duration::from_secs(1), Duration::from_secs(60));
        let seconds: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.lasted(Duration::from_secs(59));
        assert_eq!(backoff.next(1.0), Duration::from_secs(60), "too short");
        backoff.lasted(Duration::from_secs(60));
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
        assert_eq!(backoff.longest(1.0), Duration::from_secs(60));
        assert_eq!(backoff.next(1.0), Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn every_pause_is_within_its_bounds(
            chances in proptest::collection::vec(0.0..=1.0_f64, 1..40),
            first in 1_u64..10_000,
            more in 0_u64..100_000,
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(first + more));
            let mut backoff = Backoff::default();
            backoff.set_bounds(first, longest);
            for chance in chances {
                let pause = backoff.next(chance);
                prop_assert!(pause >= first.mul_f64(CERTAIN) && pause <= longest);
            }
        }
    }
}
