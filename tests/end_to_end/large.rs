//! Requests for ten thousand agents in one frame.

use std::time::{Duration, Instant};

use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::wdb::agent_row;

const AGENTS: u32 = 10_000;

#[tokio::test]
async fn ten_thousand_agents_in_one_frame() {
    let manager = Manager::start("[delivery]\nmax_concurrent = 1")
        .await
        .unwrap();
    manager
        .wdb
        .set_agents((1..=i64::from(AGENTS)).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let file = manager.home.path("x.wpk");
    std::fs::write(&file, [1; 100]).unwrap();
    manager.remoted.set_latency(Duration::from_millis(50));
    // No task ends, however long this machine takes for the requests.
    manager.remoted.set_rules("* upgrade @noack\n").unwrap();
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let began = Instant::now();
    let items = manager
        .upgrade_custom(&agents, json!({"file_path": file}))
        .await;
    let took = began.elapsed();
    println!("upgrade of {AGENTS} agents answered in {took:?}");
    assert_eq!(items.len(), AGENTS as usize);
    for (place, item) in items.iter().enumerate() {
        assert_eq!(item["agent"], place + 1);
        assert_eq!(item["task_id"], place + 1);
    }
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": agents}});
    let answer = manager.ask(request.to_string()).await.unwrap();
    assert_eq!(answer["data"].as_array().unwrap().len(), AGENTS as usize);
    assert_eq!(manager.result(AGENTS).await["status"], "In queue");
    // The same again: everyone is refused, nothing is created twice.
    let items = manager
        .upgrade_custom(&agents, json!({"file_path": file}))
        .await;
    assert!(items.iter().all(|item| item["error"] == 10));
}
