//! What the daemon carries, measured from outside, beside the numbers measured
//! for the 4.x module on a machine with two cores: 1,900 `upgrade_result` a
//! second on the upgrade socket, 5,900 on the task socket, 0.4 ms per agent of
//! an `upgrade`, 125 MB/s and 13 CPU-seconds per GiB of WPK.
//!
//! `cargo bench -p wpk-tests --bench throughput`. Clients and fakes share the
//! cores with the daemon, so every number is a lower bound; the processor time
//! is the daemon's alone.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{hammer, processor_time};
use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;

const CLIENTS: usize = 4;
const SPAN: Duration = Duration::from_secs(3);
const AGENTS: u32 = 2_000;
const WPK_BYTES: usize = 64 << 20;
const RECEIVERS: u32 = 8;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let settings = "dialect = \"wazuh-4\"\n[delivery]\nmax_concurrent = 8";
    let mut manager = Manager::prepare(settings).await.unwrap();
    manager.log = "warn,wpkd=info".to_owned();
    manager.boot().await.unwrap();
    manager
        .wdb
        .set_agents((1..=i64::from(AGENTS)).map(|id| agent_row(id, "Wazuh v4.7.0")));
    manager.remoted.keep_bytes(false);
    let pid = manager.daemon().unwrap().id().unwrap();

    let missing = manager.home.path("missing.wpk");
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let began = Instant::now();
    let items = manager
        .upgrade_custom(&agents, json!({"file_path": missing}))
        .await;
    assert_eq!(items.len(), agents.len());
    let each = began.elapsed().as_secs_f64() * 1e3 / f64::from(AGENTS);
    report("upgrade, ms per agent", each, 0.4 / each);
    manager.wait_for_status(AGENTS, &["Error"]).await.unwrap();

    let request =
        br#"{"origin":{"module":"api"},"command":"upgrade_result","parameters":{"agents":[1]}}"#;
    for (name, socket, before) in [
        ("upgrade socket", manager.home.upgrade_socket(), 1_900.0),
        ("task socket", manager.home.task_socket(), 5_900.0),
    ] {
        let cpu = processor_time(pid);
        let rate = hammer(socket.clone(), request, CLIENTS, SPAN, false).await;
        let used = processor_time(pid) - cpu;
        report(
            &format!("{name}, answers a second, one each connection"),
            rate,
            rate / before,
        );
        println!(
            "    {:.1} µs of the daemon's processor time each",
            used * 1e6 / (rate * SPAN.as_secs_f64())
        );
        let kept = hammer(socket, request, CLIENTS, SPAN, true).await;
        report(
            &format!("{name}, answers a second, kept connections"),
            kept,
            kept / before,
        );
    }

    let file = manager.home.path("big.wpk");
    std::fs::write(&file, vec![0x5a; WPK_BYTES]).unwrap();
    let receivers: Vec<u32> = (1..=RECEIVERS).collect();
    let cpu = processor_time(pid);
    let began = Instant::now();
    manager
        .upgrade_custom(&receivers, json!({"file_path": file}))
        .await;
    for agent in &receivers {
        assert!(
            manager
                .remoted
                .wait_for(*agent, "upgrade", PATIENCE)
                .await
                .is_some()
        );
    }
    let took = began.elapsed().as_secs_f64();
    let bytes = (WPK_BYTES * RECEIVERS as usize) as f64;
    let used = processor_time(pid) - cpu;
    report(
        "WPK bytes sent, MB/s",
        bytes / took / 1e6,
        bytes / took / 1e6 / 125.0,
    );
    let per_gib = used * (1u64 << 30) as f64 / bytes;
    report("processor seconds per GiB of WPK", per_gib, 13.0 / per_gib);
}

fn report(name: &str, value: f64, ratio: f64) {
    println!("{name:55} {value:12.3}   {ratio:7.1} x 4.x");
}
