//! What is made up about a fleet: how often it fails, how much of it is away, how fast its
//! links are. The same seed makes the same fleet.

use wpk_api::UnixTime;
use wpk_api::settings::Span;

use crate::definition::{Amount, Rate, seconds};
use crate::waves::mix;

/// What is made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odds {
    /// How many installations fail; a percent.
    pub failure_rate: Amount,
    /// How many agents are away half of the time, twelve hours each; a percent.
    pub offline: Amount,
    /// How fast the link of one agent is.
    pub speed: Rate,
    /// How long the file is, in bytes.
    pub file: u64,
    /// How long an installation takes until the new version is seen.
    pub install: Span,
    /// Which fleet.
    pub seed: u64,
}

impl Default for Odds {
    /// Nothing fails and nobody is away: 10 MiB at 20 Mbit/s, a minute to install.
    fn default() -> Self {
        Self {
            failure_rate: Amount::Percent(0),
            offline: Amount::Percent(0),
            speed: Rate(2_500_000),
            file: 10 << 20,
            install: Span::seconds(60),
            seed: 1,
        }
    }
}

impl Odds {
    /// A number for something of this fleet, out of 10,000.
    fn draw(&self, what: u64, kind: u64) -> u64 {
        mix(mix(self.seed ^ kind) ^ what) % 10_000
    }

    /// Whether the installation of this task fails.
    pub(super) fn fails(&self, task: i64) -> bool {
        self.draw(task as u64, 1) < part(self.failure_rate)
    }

    /// Whether an agent is connected then.
    pub(super) fn is_online(&self, agent: u32, at: UnixTime) -> bool {
        const HALF_DAY: i64 = 43_200;
        let agent = u64::from(agent);
        if self.draw(agent, 2) >= part(self.offline) {
            return true;
        }
        let shift = (self.draw(agent, 3) * 9) as i64;
        (at.saturating_add(shift) / HALF_DAY) % 2 == 0
    }

    /// How long it takes to send the file where so many share a link, in seconds.
    pub(super) fn sending(&self, site: Option<Rate>, sharing: u64) -> (i64, u64) {
        let share = site.map_or(u64::MAX, |rate| rate.0 / sharing.max(1));
        let rate = self.speed.0.min(share).max(1);
        let takes = i64::try_from(self.file.div_ceil(rate)).unwrap_or(i64::MAX / 4);
        (takes.max(1), rate)
    }

    pub(super) fn installing(&self) -> i64 {
        seconds(self.install).max(1)
    }
}

/// Out of 10,000; a number of agents is taken for so many percent.
fn part(amount: Amount) -> u64 {
    match amount {
        Amount::Percent(part) => u64::from(part),
        Amount::Number(number) => u64::from(number).saturating_mul(100).min(10_000),
    }
}
