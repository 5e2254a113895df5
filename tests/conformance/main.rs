//! The recordings of a real manager and a real agent, replayed against the real
//! programs. Every case agrees, or stands in the table of deliberate
//! differences in the README beside this file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod agent;
mod case;
mod deliveries;
mod differences;
mod documented;
mod frames;
mod proxy;
mod report;
mod requests;
mod stand;
mod urls;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use report::Tally;

/// Daemons that replay at the same time.
const DAEMONS: usize = 4;

/// How long the replay of everything may take.
const MOST_TIME: Duration = Duration::from_secs(120);

/// The rows of the table in the README.
fn table() -> BTreeSet<String> {
    let readme = include_str!("README.md");
    let rows = readme
        .lines()
        .skip_while(|line| !line.starts_with("| row |"))
        .skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1))
        .map(|word| word.trim().to_owned())
        .collect()
}

/// Every row is shown by a case, and every difference has its row.
fn table_fits(tallies: &[Tally]) -> Vec<String> {
    let shown = tallies.iter().flat_map(|tally| tally.deliberate.keys());
    let shown: BTreeSet<String> = shown.map(|row| (*row).to_owned()).collect();
    let table = table();
    let unused = table
        .difference(&shown)
        .map(|row| format!("README.md: the row {row} is shown by no case"));
    let absent = shown
        .difference(&table)
        .map(|row| format!("README.md: there is no row {row}"));
    unused.chain(absent).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_recording_is_accounted_for() {
    // Building the programs, where they are not built yet, is not part of it.
    wpk_testkit::binary("wpkd").unwrap();
    let began = Instant::now();
    let cases = case::load("requests.jsonl");
    let shards = cases.chunks(cases.len().div_ceil(DAEMONS));
    let requests = shards.map(|cases| tokio::spawn(requests::replay(cases.to_vec())));
    let requests: Vec<_> = requests.collect();
    let deliveries = tokio::spawn(deliveries::replay());
    let urls = tokio::spawn(urls::replay());
    let agent = tokio::spawn(agent::replay());
    let mut answered = Tally::new("requests.jsonl", differences::REQUESTS);
    for shard in requests {
        answered.add(shard.await.unwrap());
    }
    let (deliveries, frames) = deliveries.await.unwrap();
    let tallies = [
        answered,
        deliveries,
        frames,
        urls.await.unwrap(),
        agent.await.unwrap(),
    ];
    let took = began.elapsed();

    let mut wrong: Vec<String> = tallies.iter().flat_map(Tally::faults).collect();
    wrong.extend(table_fits(&tallies));
    let recorded = |tally: &Tally| case::load(tally.file).len();
    for tally in &tallies {
        // No case is left out, and each has one of the verdicts.
        if tally.ran != recorded(tally) || tally.accounted() != tally.ran {
            wrong.push(format!(
                "{}: {} recorded, {} ran, {} accounted for",
                tally.file,
                recorded(tally),
                tally.ran,
                tally.accounted()
            ));
        }
    }
    if took > MOST_TIME {
        wrong.push(format!(
            "the replay took {took:.0?}, more than {MOST_TIME:?}"
        ));
    }
    let mut out = String::from("\n");
    for tally in &tallies {
        out += &format!("{}\n", tally.line());
    }
    let all: usize = tallies.iter().map(recorded).sum();
    let accounted: usize = tallies.iter().map(Tally::accounted).sum();
    out += &format!("{accounted} of {all} cases accounted for in {took:.1?}\n");
    for line in &wrong {
        out += &format!("{line}\n");
    }
    // Not through the macros, through which a passing test is not heard.
    std::io::stderr().write_all(out.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{} lines above", wrong.len());
}
