//! Starts spread over time, so that tens of thousands of agents do not restart, and come
//! back, at once.

use wpk_api::UnixTime;

/// Installers that may begin in one second.
const A_SECOND: u32 = 100;

/// Up to when starts were given away.
#[derive(Debug, Default)]
pub(super) struct Spread {
    second: UnixTime,
    given: u32,
}

impl Spread {
    /// The next start, now or later; `None` where it would come after `until`.
    pub(super) fn next(&mut self, now: UnixTime, until: Option<UnixTime>) -> Option<UnixTime> {
        if self.second < now {
            (self.second, self.given) = (now, 0);
        }
        let (second, given) = match self.given < A_SECOND {
            true => (self.second, self.given + 1),
            false => (self.second.saturating_add(1), 1),
        };
        if until.is_some_and(|until| second >= until) {
            return None;
        }
        (self.second, self.given) = (second, given);
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_share_and_none_is_after_the_end() {
        let mut spread = Spread::default();
        let starts: Vec<_> = (0..250)
            .map(|_| spread.next(1_000, None).unwrap())
            .collect();
        assert_eq!(
            (starts[0], starts[99], starts[100], starts[249]),
            (1_000, 1_000, 1_001, 1_002)
        );
        assert_eq!(spread.next(1_000, Some(1_002)), None);
        assert_eq!(spread.next(1_500, None), Some(1_500));
        // A clock that goes back does not give a second twice.
        let before: Vec<_> = (0..99).map(|_| spread.next(1_400, None).unwrap()).collect();
        assert!(before.iter().all(|start| *start == 1_500));
        assert_eq!(spread.next(1_400, None), Some(1_501));
    }
}
