//! How often a plan is made at most. One of a large fleet costs much, and while agents
//! report by the hundred each second brings news: what none of it decides may wait.

use std::time::Duration;

use tokio::time::Instant;

/// Between two plans at least; what decides something waits no longer.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);
/// Between two plans at most, while there is anything new.
const LONGEST: Duration = Duration::from_secs(1);
/// One part in so many of the time goes to planning.
const SHARE: u32 = 10;

/// When the next plan may be made.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// A plan was made and carried out, which took so long.
    pub(super) fn planned(&mut self, took: Duration) {
        let gap = (took * SHARE).clamp(SHORTEST, LONGEST);
        self.last = Some((Instant::now(), gap));
    }

    /// How long is to be waited before the next; `None`: no longer.
    pub(super) fn left(&self, urgent: bool) -> Option<Duration> {
        let (last, gap) = self.last?;
        let gap = if urgent { SHORTEST } else { gap };
        let left = gap.saturating_sub(last.elapsed());
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_dear_waits_and_what_decides_does_not() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(false), None);
        pace.planned(Duration::from_millis(1));
        assert_eq!(pace.left(false), Some(SHORTEST));
        pace.planned(Duration::from_millis(60));
        assert_eq!(pace.left(false), Some(Duration::from_millis(600)));
        assert_eq!(pace.left(true), Some(SHORTEST));
        tokio::time::advance(SHORTEST).await;
        assert_eq!(pace.left(true), None);
        pace.planned(Duration::from_secs(60));
        assert_eq!(pace.left(false), Some(LONGEST));
    }
}
