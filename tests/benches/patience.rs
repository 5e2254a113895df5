//! Who waits for whom: how long healthy agents and clients take beside others that
//! are silent, fail, wait or do not read. Each line is measured on the real program
//! and stands beside what it took before that was looked at, and what it must be.
//!
//! `cargo bench -p wpk-tests --bench patience`. Time limits are shorter than the
//! defaults, so that it ends soon: what counts is the last column, which is the
//! time taken as a share of what it may be.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/mod.rs"]
mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, release};

const WPK_BYTES: usize = 200_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "{:62} {:>9} {:>9} {:>9} {:>7}",
        "what", "before", "must be", "measured", "share"
    );
    runtime.block_on(async {
        silent_agents().await;
        failing_agents().await;
        a_slow_download().await;
        clients_that_do_not_read().await;
    });
}

/// A line: seconds before, seconds it may take, seconds it took.
fn report(what: &str, before: f64, must: f64, took: f64) {
    println!(
        "{what:62} {before:7.1} s {must:7.1} s {took:7.2} s {:6.2}",
        took / must
    );
}

async fn manager(settings: &str, agents: u32) -> (Manager, Repository, serde_json::Value) {
    let (repository, parameters) = release(&vec![7; WPK_BYTES]).await.unwrap();
    let mut manager = Manager::prepare(settings).await.unwrap();
    manager.log = "warn,wpkd=info".to_owned();
    manager.boot().await.unwrap();
    let rows = (1..=i64::from(agents)).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    (manager, repository, parameters)
}

/// Waits until all these agents were told to run their installer.
async fn all_told(manager: &Manager, agents: impl Iterator<Item = u32>) {
    for agent in agents {
        let told = manager.remoted.wait_for(agent, "upgrade", PATIENCE).await;
        told.unwrap_or_else(|| panic!("agent {agent} waits for ever\n{}", manager.output()));
    }
}

/// Eight agents, as many as there are slots, say nothing to `open`; twenty healthy
/// ones wait behind them. Measured before with the default time-out of 75 s, which
/// is scaled here.
async fn silent_agents() {
    const TIMEOUT: f64 = 3.0;
    let settings = format!(
        "[delivery]\nmax_concurrent = 8\n[transport]\ntype = \"remoted\"\ntimeout = \"{TIMEOUT}s\""
    );
    let (manager, _repository, parameters) = manager(&settings, 28).await;
    let rules: String = (1..=8).map(|id| format!("{id} open @hang\n")).collect();
    manager.remoted.set_rules(&rules).unwrap();
    let all: Vec<u32> = (1..=28).collect();
    let began = Instant::now();
    manager.upgrade(&all, parameters).await;
    all_told(&manager, 9..=28).await;
    let what = "20 agents behind 8 that are silent at open (3 s time-out)";
    report(what, 751.0 / 75.0 * TIMEOUT, TIMEOUT + 1.0, took(began));
}

/// A hundred agents refuse `open` in three deliveries each, two seconds apart; one
/// that is healthy was asked for last.
async fn failing_agents() {
    let settings = "[delivery]\nmax_concurrent = 8\nattempts = 3";
    let (manager, _repository, parameters) = manager(settings, 101).await;
    let refused = |id| format!("{id} open err Cannot send request\n");
    let rules: String = (1..=100).map(refused).collect();
    manager.remoted.set_rules(&rules).unwrap();
    let all: Vec<u32> = (1..=101).collect();
    let began = Instant::now();
    manager.upgrade(&all, parameters).await;
    all_told(&manager, 101..=101).await;
    report(
        "1 agent behind 100 that fail three times",
        48.0,
        6.0,
        took(began),
    );
}

/// Five hundred agents wait for a repository that says nothing; a file of this
/// machine is there at once.
async fn a_slow_download() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let settings = "[delivery]\nmax_concurrent = 8\n[[provider]]\ntype = \"repository\"\n\
                    timeout = \"60s\"\n[[provider]]\ntype = \"local-file\"";
    let (manager, _repository, _) = manager(settings, 501).await;
    let waiting: Vec<u32> = (1..=500).collect();
    let lost = json!({"wpk_repo": format!("http://{address}/"), "version": "v4.14.8"});
    manager.upgrade(&waiting, lost).await;
    let file = manager.home.path("custom.wpk");
    std::fs::write(&file, vec![7; WPK_BYTES]).unwrap();
    let began = Instant::now();
    manager
        .upgrade_custom(&[501], json!({"file_path": file}))
        .await;
    all_told(&manager, 501..=501).await;
    let what = "1 agent with a local file behind 500 that wait for a download";
    report(what, 11.5, 1.0, took(began));
}

/// Clients ask for long answers and read none of them; another asks for a short one.
async fn clients_that_do_not_read() {
    const CLIENTS: usize = 200;
    const AGENTS: u32 = 20_000;
    let (mut manager, _repository, _) = manager("", 1).await;
    let pid = manager.daemon().unwrap().id().unwrap();
    let socket = manager.home.upgrade_socket();
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": agents}});
    let request = request.to_string().into_bytes();
    let mut frame = (request.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(&request);
    let asking = tokio::task::spawn_blocking(move || {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let Ok(mut client) = UnixStream::connect(&socket) else {
                break;
            };
            let patience = Some(Duration::from_millis(500));
            client.set_write_timeout(patience).unwrap();
            // Several questions each; a daemon that takes no more is right.
            for _ in 0..8 {
                if client.write_all(&frame).is_err() {
                    break;
                }
            }
            clients.push(client);
        }
        clients
    });
    let clients = asking.await.unwrap();
    let began = Instant::now();
    let answered = tokio::time::timeout(PATIENCE, manager.ask(br#"{"command":"nonsense"}"#)).await;
    assert!(matches!(answered, Ok(Some(_))), "no answer in {PATIENCE:?}");
    let what = format!("1 client beside {} that do not read", clients.len());
    report(&what, 30.0, 1.0, took(began));
    let mib = common::memory(pid, "VmRSS:");
    println!(
        "{:62} {:>5} MiB {:>5} MiB {mib:5.0} MiB {:6.2}",
        "    the daemon's memory then",
        1024,
        256,
        mib / 256.0
    );
    drop(clients);
}

fn took(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}
