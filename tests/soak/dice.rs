//! Chance that follows from the seed: every actor throws dice of its own, so that
//! what one of them does changes nothing for the others.

use std::time::Duration;

/// A row of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of the actor `whose` in the story of `seed`.
    pub fn of(seed: u64, whose: u64) -> Self {
        let mut dice = Self(seed ^ whose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.throw();
        dice
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `count`, without `count` itself.
    pub fn below(&mut self, count: usize) -> usize {
        (self.throw() % count.max(1) as u64) as usize
    }

    /// Yes in so many of a thousand cases.
    pub fn per_mille(&mut self, share: u32) -> bool {
        self.throw() % 1_000 < u64::from(share)
    }

    pub fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// Some time between two lengths.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_micros().max(1) as u64;
        least + Duration::from_micros(self.throw() % width)
    }

    pub fn seconds(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_secs(least), Duration::from_secs(most))
    }

    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_millis(least), Duration::from_millis(most))
    }
}
