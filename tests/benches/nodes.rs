//! What a task costs where 1, 2 and 4 daemons share a PostgreSQL database on one machine:
//! processor time of the daemons and of the server for each task, from the request to the
//! agent's word, with WPKs of 1 KiB. The bar: with more daemons it grows by no more than 1.3
//! times.
//!
//! `cargo bench -p wpk-tests --bench nodes`. Agents and clients share the cores.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../nodes/stand.rs"]
#[allow(dead_code, unreachable_pub)]
mod stand;

use std::time::{Duration, Instant};

use serde_json::json;
use stand::Site;

const AGENTS: u32 = 4_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("{AGENTS} tasks, one PostgreSQL, WPKs of 1 KiB");
    println!("daemons   seconds   CPU ms/task: daemons  server     all   to one daemon");
    let mut first = None;
    for number in [1, 2, 4] {
        let Some(cost) = runtime.block_on(cost(number)) else {
            return;
        };
        let all = cost.daemons + cost.server;
        let base = *first.get_or_insert(all);
        println!(
            "{number:>7} {:>9.1} {:>21.2} {:>7.2} {all:>7.2} {:>8.2} (bar 1.3)",
            cost.seconds,
            cost.daemons,
            cost.server,
            all / base
        );
    }
}

struct Cost {
    seconds: f64,
    /// Milliseconds of processor time for each task.
    daemons: f64,
    server: f64,
}

async fn cost(number: usize) -> Option<Cost> {
    let mut site = Site::of(number, 1_024, "[delivery]\nmax_concurrent = 16\n").await?;
    let share = AGENTS / u32::try_from(number).unwrap();
    for at in 0..number {
        let first = u32::try_from(at).unwrap() * share + 1;
        site.place(first..first + share, at);
    }
    site.acquainted().await;
    let pids = site.nodes.iter_mut();
    let pids: Vec<u32> = pids
        .map(|node| node.daemon().unwrap().id().unwrap())
        .collect();
    let of_daemons = || pids.iter().map(|pid| used(*pid)).sum::<f64>();
    let of_server = || processes_of("postgres").map(used).sum::<f64>();
    // The server's processes for each connection end with it, so that none may end meanwhile.
    let before = (of_daemons(), of_server(), Instant::now());
    let all: Vec<u32> = (1..=AGENTS).collect();
    let items = site.nodes[0].upgrade(&all, site.parameters.clone()).await;
    assert!(items.iter().all(|item| item["error"] == json!(0)));
    let ended = site.all_ended(0, &all, PATIENCE).await;
    let updated = ended.values().filter(|status| *status == "Updated").count();
    assert_eq!(updated, all.len());
    let seconds = before.2.elapsed().as_secs_f64();
    let per_task = |used: f64| used * 1_000.0 / f64::from(AGENTS);
    Some(Cost {
        seconds,
        daemons: per_task(of_daemons() - before.0),
        server: per_task(of_server() - before.1),
    })
}

/// Seconds of processor time that a process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    // Linux counts a hundred a second for every program.
    ticks / 100.0
}

/// The processes of a program.
fn processes_of(name: &str) -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(move |pid| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    })
}
