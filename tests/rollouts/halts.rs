//! How long it takes from the report that decides to the halt, by the clock on the wall,
//! and what begins after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wpk_api::AgentId;
use wpk_runtime::WallClock;
use wpk_testkit::memory::MemoryStore;

use crate::agents::{Agents, Begun};
use crate::manager::Manager;

/// What the halt may take.
const BAR: Duration = Duration::from_secs(1);
/// Managers that work beside each other.
const MANAGERS: u32 = 10;
/// Agents of each.
const AGENTS: u32 = 12;

fn count() -> u32 {
    let wanted = std::env::var("ROLLOUT_HALTS").ok();
    wanted.map_or(40, |wanted| {
        wanted.parse().expect("ROLLOUT_HALTS is a number")
    })
}

fn definition(round: u32) -> String {
    format!(
        "[[rollout]]\nname = \"round{round}\"\nselect = \"id > 0\"\ntarget = \"v4.14.9\"\n\
         max_concurrent = 4\n[[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_that_decides_halts_within_a_second_and_nothing_begins_after() {
    let rounds = count().div_ceil(MANAGERS);
    let managers = (0..MANAGERS).map(|_| tokio::spawn(halts(rounds)));
    let mut all = Vec::new();
    for manager in managers.collect::<Vec<_>>() {
        all.extend(manager.await.unwrap());
    }
    all.sort_unstable();
    let at = |part: usize| all[(all.len() - 1) * part / 100];
    println!(
        "{} halts: median {:?}, 99 % {:?}, longest {:?}",
        all.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(at(100) <= BAR, "{:?}", at(100));
}

async fn halts(rounds: u32) -> Vec<Duration> {
    let home = tempfile::tempdir().unwrap();
    let mut took = Vec::new();
    for round in 0..rounds {
        let (agents, mut begun) = Agents::new(AGENTS, 0);
        let store = Arc::new(MemoryStore::new());
        let home = home.path().join(round.to_string());
        std::fs::create_dir(&home).unwrap();
        let manager = Manager::over(&home, store, &agents, Arc::new(WallClock));
        took.push(halt(&manager, &agents, &mut begun, round).await);
    }
    took
}

/// Whether the store says so: from then on it lets nothing begin.
async fn is_halted(manager: &Manager, name: &str) -> bool {
    let key = format!("rollout/{name}#1");
    let found = manager.store.documents(&key, "", 1).await.unwrap();
    found[0].text.contains("\"halted\"")
}

/// One rollout, whose first agent reports that it failed.
async fn halt(manager: &Manager, agents: &Agents, begun: &mut Begun, round: u32) -> Duration {
    manager.apply(&definition(round)).await;
    let mut at_work: Vec<AgentId> = Vec::new();
    while at_work.len() < 4 {
        let began = tokio::time::timeout(Duration::from_secs(60), begun.recv());
        match began.await {
            Ok(agent) => at_work.push(agent.unwrap()),
            Err(_) => panic!(
                "four begin: {}",
                manager.status(&format!("round{round}")).await
            ),
        }
    }
    let reported = Instant::now();
    manager.word(at_work[0], 1, "Failed").await;
    let name = format!("round{round}");
    while !is_halted(manager, &name).await {
        assert!(
            reported.elapsed() < Duration::from_secs(60),
            "it never halts"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = reported.elapsed();
    let told = agents.told_all();
    // The others end well, which would make room for more.
    for agent in &at_work[1..] {
        agents.installed(*agent);
        manager.word(*agent, 0, "Done").await;
    }
    while manager.status(&name).await["counts"]["soaking"] != 3 {
        assert!(
            reported.elapsed() < Duration::from_secs(60),
            "they are never seen"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(agents.told_all(), told, "nothing begins after the halt");
    took
}
