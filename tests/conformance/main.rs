//! The recordings of a real manager and a real agent, replayed against the real
//! programs. Every case agrees, or stands in the table of deliberate
//! differences in the README beside this file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod case;
mod differences;
mod report;
mod requests;
mod stand;

use std::io::Write as _;

use report::Tally;

/// Daemons that replay at the same time.
const DAEMONS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_recording_is_accounted_for() {
    let began = std::time::Instant::now();
    let cases = case::load("requests.jsonl");
    let shard = cases.len().div_ceil(DAEMONS);
    let shards = cases
        .chunks(shard)
        .map(|cases| tokio::spawn(requests::replay(cases.to_vec())));
    let mut requests = Tally::new("requests.jsonl", differences::REQUESTS);
    for shard in shards.collect::<Vec<_>>() {
        requests.add(shard.await.unwrap());
    }
    let tallies = [requests];
    let mut out = String::new();
    for tally in &tallies {
        out += &tally.line();
        out.push('\n');
    }
    out += &format!("in {:.1?}\n", began.elapsed());
    for tally in &tallies {
        for line in tally.wrong.iter().chain(&tally.unused()) {
            out += line;
            out.push('\n');
        }
    }
    // Not through the macros, which a passing test is not heard through.
    std::io::stderr().write_all(out.as_bytes()).unwrap();
    assert!(
        tallies
            .iter()
            .all(|tally| tally.wrong.is_empty() && tally.unused().is_empty())
    );
}
