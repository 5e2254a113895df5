//! The soak: two hundred simulated agents, a real engine over a real store, and
//! everything that can go wrong between them, by chance: silence, late and lost
//! answers, refusals, agents that come and go, repositories and disks that fail,
//! clocks that are set, stops and kills. Then all is mended, and the table is held
//! against what each agent knows (`oracle.rs`).
//!
//! Time is simulated: a minute holds days. All chance follows from a seed, which is
//! printed; threads that read files may still swap what happens at the same moment.
//!
//! ```sh
//! cargo test -p wpk-tests --test soak -- --nocapture
//! WPKD_SOAK_SECONDS=3600 cargo test -p wpk-tests --test soak       # longer
//! WPKD_SOAK_SEED=7 WPKD_SOAK_SIMULATED=86400 cargo test -p wpk-tests --test soak   # again
//! ```
//!
//! Without `WPKD_SOAK_SECONDS` it takes 60 s where `CI` is set, and 15 s elsewhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod agent;
mod book;
mod channel;
mod dice;
mod life;
mod oracle;
mod requests;
mod story;
mod world;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use channel::Lie;
use oracle::Fault;
use story::{Story, Until};

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let digits = text.strip_prefix("0x");
    let number = match digits {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Not through the macros, through which a passing test is not heard.
fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

#[test]
fn two_hundred_agents_and_the_truth() {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number("WPKD_SOAK_SEED").unwrap_or(now % 1_000_000_000);
    let usual = match std::env::var_os("CI") {
        Some(_) => 60,
        None => 15,
    };
    let seconds = number("WPKD_SOAK_SECONDS").unwrap_or(usual);
    let until = match number("WPKD_SOAK_SIMULATED") {
        Some(seconds) => Until::Simulated(Duration::from_secs(seconds)),
        None => Until::Wall(Instant::now() + Duration::from_secs(seconds)),
    };
    tell(&format!("\nsoak: seed {seed}\n"));
    let told = Story { seed, lie: Lie::No }.tell(until);
    tell(&told.text());
    assert!(
        told.faults().is_empty(),
        "seed {seed}: {} faults above",
        told.faults().len()
    );
    if seconds >= 15 {
        told.must_have_met_everything();
    }
}

fn hours(hours: u64) -> Until {
    Until::Simulated(Duration::from_secs(hours * 3_600))
}

/// The oracle is no friend of the daemon: where the channel lies to it, the table
/// says what is not so, and that is counted.
#[test]
fn silence_told_as_a_refusal_is_found_out() {
    let told = Story {
        seed: 1,
        lie: Lie::SilenceIsRefusal,
    }
    .tell(hours(6));
    assert!(told.count(Fault::Untrue) > 0, "{}", told.text());
}

#[test]
fn an_installer_that_is_told_twice_is_found_out() {
    let told = Story {
        seed: 2,
        lie: Lie::Twice,
    }
    .tell(hours(2));
    assert!(told.count(Fault::Twice) > 0, "{}", told.text());
}

#[test]
fn the_stories_that_are_told_again_find_nothing() {
    for (seed, seconds) in story::AGAIN {
        let until = Until::Simulated(Duration::from_secs(*seconds));
        let story = Story {
            seed: *seed,
            lie: Lie::No,
        };
        let told = story.tell(until);
        assert!(told.faults().is_empty(), "{}", told.text());
    }
}
