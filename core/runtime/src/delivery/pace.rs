//! How many agents are written to at the same time where nobody says it
//! (`delivery.max_concurrent = "auto"`): more as long as answers come as quickly as they
//! did, fewer where they do not. The rule is that of congestion control: twice as many
//! until the first slow answers, then a few more at a time, and a quarter fewer whenever
//! most answers are slow. A delivery keeps its slot to its end, so fewer slots are felt
//! late: nothing is taken away again before the last time has had its effect. Pure;
//! [`Slots`](super::slots::Slots) asks it at every answer.

use std::time::Duration;

use tokio::time::Instant;

/// Where it starts, and the fewest.
pub(super) const FEWEST: usize = 8;
/// The most.
pub(super) const MOST: usize = 1024;
/// How many more at a time, once answers have been slow.
const STEP: usize = 8;
/// How long answers are collected before anything is changed, at least.
const WINDOW: Duration = Duration::from_millis(100);
/// An answer is slow that took more than this times what the quickest of its delivery
/// took ...
const TIMES: u32 = 2;
/// ... and this on top: what the machine itself takes when it is busy is nothing to save.
const SLACK: Duration = Duration::from_millis(5);

/// What was seen since the last decision.
#[derive(Debug)]
pub(super) struct Pace {
    since: Option<Instant>,
    answers: usize,
    slow: usize,
    /// At one of them more slots were in use than there are.
    too_many: bool,
    /// No answer has been slow yet.
    doubling: bool,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// How long it took.
    pub(super) took: Duration,
    /// How long the quickest took in the same delivery.
    pub(super) quickest: Duration,
    /// Whether there was one at all.
    pub(super) came: bool,
}

/// How many of the slots are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Used {
    /// Not all: more of them would be of no use.
    Some,
    /// All of them.
    All,
    /// More than there are: deliveries that began when there were more go on.
    TooMany,
}

impl Answered {
    fn is_slow(self) -> bool {
        !self.came || self.took > self.quickest.saturating_mul(TIMES).saturating_add(SLACK)
    }
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            since: None,
            answers: 0,
            slow: 0,
            too_many: false,
            doubling: true,
        }
    }

    /// How many there should be from `now` on, with `slots` up to now; `None` for no
    /// change.
    pub(super) fn answer(
        &mut self,
        answered: Answered,
        now: Instant,
        slots: usize,
        used: Used,
    ) -> Option<usize> {
        let since = *self.since.get_or_insert(now);
        self.answers += 1;
        self.slow += usize::from(answered.is_slow());
        self.too_many |= used == Used::TooMany;
        // Of each delivery an answer, on the average: one slow agent is not the rule.
        if now.duration_since(since) < WINDOW || self.answers < slots {
            return None;
        }
        let slow = self.slow * 2 > self.answers;
        let too_many = self.too_many;
        (self.since, self.answers, self.slow, self.too_many) = (None, 0, 0, false);
        self.doubling &= !slow;
        let wanted = match used {
            // What was seen is still the work of those that were too many.
            _ if slow && too_many => slots,
            _ if slow => (slots - slots / 4).max(FEWEST),
            Used::Some => slots,
            Used::All | Used::TooMany if self.doubling => slots.saturating_mul(2).min(MOST),
            Used::All | Used::TooMany => slots.saturating_add(STEP).min(MOST),
        };
        (wanted != slots).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that answers in `base` as long as at most `fit` are written to, and in
    /// proportion more slowly beyond that; how many slots there are after `rounds`.
    async fn settled(base: Duration, fit: usize, rounds: usize, used: Used) -> Vec<usize> {
        let (mut pace, mut slots, mut seen) = (Pace::new(), FEWEST, Vec::new());
        for _ in 0..rounds {
            let took = base * u32::try_from(slots.div_ceil(fit)).unwrap();
            tokio::time::advance(took.max(WINDOW / 4)).await;
            let now = slots;
            for _ in 0..now {
                let answered = Answered {
                    took,
                    quickest: base,
                    came: true,
                };
                let changed = pace.answer(answered, Instant::now(), slots, used);
                slots = changed.unwrap_or(slots);
            }
            seen.push(slots);
        }
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn it_doubles_where_nothing_gets_slower() {
        let seen = settled(Duration::from_millis(5), usize::MAX, 60, Used::All).await;
        assert_eq!(seen.last(), Some(&MOST));
        assert!(
            seen.iter().position(|slots| *slots >= 256).unwrap() < 36,
            "{seen:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_near_what_the_peer_can_take() {
        let base = Duration::from_millis(20);
        let seen = settled(base, 100, 600, Used::All).await;
        let late = &seen[300..];
        assert!(
            late.iter().all(|slots| (100..=320).contains(slots)),
            "{late:?}"
        );
        assert!(late.iter().any(|slots| *slots < 220), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_given_more_than_is_used() {
        let seen = settled(Duration::from_millis(5), usize::MAX, 60, Used::Some).await;
        assert_eq!(seen.last(), Some(&FEWEST));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_the_slowest_answer() {
        let (mut pace, mut slots) = (Pace::new(), 64);
        for _ in 0..20 {
            tokio::time::advance(WINDOW).await;
            let now = slots;
            for _ in 0..now {
                let silent = Answered {
                    took: Duration::ZERO,
                    quickest: Duration::ZERO,
                    came: false,
                };
                let changed = pace.answer(silent, Instant::now(), slots, Used::All);
                slots = changed.unwrap_or(slots);
            }
        }
        assert_eq!(slots, FEWEST);
    }

    #[tokio::test(start_paused = true)]
    async fn one_slow_agent_slows_nobody_down() {
        let (mut pace, mut slots) = (Pace::new(), FEWEST);
        for round in 0..200 {
            tokio::time::advance(WINDOW).await;
            let now = slots;
            for agent in 0..now {
                let slow = agent == 0 && round % 2 == 0;
                let took = Duration::from_millis(if slow { 5_000 } else { 10 });
                let answered = Answered {
                    took,
                    quickest: Duration::from_millis(10),
                    came: true,
                };
                let changed = pace.answer(answered, Instant::now(), slots, Used::All);
                slots = changed.unwrap_or(slots);
            }
        }
        assert_eq!(slots, MOST);
    }
}
