//! The planner, in a world that crashes, reorders and lies: the sixteen invariants as
//! properties, and a table for each known trap.
//!
//! `ROLLOUT_CASES` says how many cases each property gets; 10,000 without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod chaos;
mod converge;
mod laws;
mod rehearse;
mod sources;
mod traps;
mod watch;
mod world;

/// How many cases each property gets.
fn cases() -> proptest::prelude::ProptestConfig {
    let asked = std::env::var("ROLLOUT_CASES").ok();
    let cases = asked.and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut config = proptest::prelude::ProptestConfig::with_cases(cases);
    config.failure_persistence = None;
    config
}
