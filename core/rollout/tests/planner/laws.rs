//! Laws that need no fleet: bytes over time, and that what is applied was planned.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use wpk_rollout::{Bucket, Definition, Rate, SLOWEST, WINDOW};

use crate::chaos::definition;
use crate::world::{START, World};

proptest! {
    #![proptest_config(crate::cases())]

    // Invariant 13: over any 10 s, no more bytes than the rate allows.
    #[test]
    fn bytes_stay_under_the_cap(
        rate in SLOWEST.0..5_000_000,
        largest in 1u32..65_536,
        pieces in prop::collection::vec((1u32..65_536, 0u64..3_000), 1..200),
    ) {
        let mut bucket = Bucket::new(Rate(rate), largest);
        let mut now = Duration::ZERO;
        let mut recent: VecDeque<(Duration, u64)> = VecDeque::new();
        for (bytes, pause) in pieces {
            let bytes = bytes.min(largest);
            now += Duration::from_millis(pause / 20);
            if let Err(wait) = bucket.take(bytes, now) {
                now += wait;
                prop_assert_eq!(bucket.take(bytes, now), Ok(()), "it waited as long as it was told");
            }
            recent.push_back((now, u64::from(bytes)));
            while recent.front().is_some_and(|(at, _)| now - *at > WINDOW) {
                recent.pop_front();
            }
            let sum: u64 = recent.iter().map(|(_, bytes)| bytes).sum();
            prop_assert!(sum <= rate * WINDOW.as_secs(), "{} bytes in 10 s at {}/s", sum, rate);
        }
    }

    // Invariant 14: what is applied is what was planned, or it is refused.
    #[test]
    fn what_changed_since_the_plan_is_refused(
        shape in any::<[u8; 8]>(),
        other in any::<[u8; 8]>(),
        meanwhile in 0u8..6,
    ) {
        let mut world = World::new(6);
        world.apply(&definition(shape, false));
        world.settle();
        let next = Definition::from_toml(&definition(other, true)).unwrap();
        let planned = world.desired.digest(&next);
        let before = world.desired.clone();
        match meanwhile {
            0 => {}
            1 => world.named("prod").pause().unwrap(),
            2 => world.named("prod").cancel().unwrap(),
            3 => world.desired.releases.0.clear(),
            4 => world.desired.sites.max_concurrent = Some(77),
            _ => drop(world.named("prod").skip(&[])),
        }
        let applied = world.desired.apply(&next, planned, START);
        prop_assert_eq!(applied.is_ok(), before == world.desired, "{}", meanwhile);
        let changed = Definition::from_toml(&definition([shape[1], shape[0], 9, 9, 9, 9, 9, 9], true)).unwrap();
        if changed != next {
            prop_assert!(before.apply(&changed, planned, START).is_err(), "another file");
        }
        // Applying takes all leave to begin away where it changes something.
        if let Ok(after) = applied {
            for document in before.rollouts.iter().filter(|one| one.is_live()) {
                let now = after.rollouts.iter().find(|one| one.key == document.key).unwrap();
                let same = now.definition == document.definition && after.sites == before.sites && now.is_live();
                prop_assert_eq!(now.facts.epoch > document.facts.epoch, !same);
                prop_assert!(!now.is_live() || now.facts.population == document.facts.population);
            }
        }
    }
}
