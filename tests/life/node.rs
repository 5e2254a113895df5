//! A node that changes its name (PROTOCOL.md, section 3). Nobody else has its store: what
//! was not begun under the old name is carried out under the new one. What is under way
//! may still be reported.

use serde_json::{Value, json};
use wpk_testkit::Manager;

use crate::{end_of, fleet};

fn settings(name: &str) -> String {
    format!(
        "[node]\nname = \"{name}\"\n[delivery]\nmax_concurrent = 1\n[tasks]\ntask_timeout = \"2s\""
    )
}

async fn rename(manager: &mut Manager, name: &str) {
    manager.kill().await.unwrap();
    manager.configure(&settings(name)).unwrap();
    manager.boot().await.unwrap();
}

async fn status(manager: &Manager, node: &str, agent: u32) -> Option<Value> {
    let request = json!({"origin": {"name": node, "module": "upgrade_module"},
        "command": "upgrade_get_status", "parameters": {"agents": [agent]}});
    let answer = manager.ask_tasks(request.to_string()).await.unwrap();
    answer["data"][0].get("status").cloned()
}

#[tokio::test]
async fn tasks_of_the_old_name_are_taken_over_or_are_reported() {
    let (mut manager, _repository, parameters) = fleet(&settings("node01"), 4).await;
    // Agent 1 has begun and says nothing yet; agent 2 holds the only place;
    // agents 3 and 4 wait.
    manager
        .remoted
        .set_rules("1 upgrade @noack\n2 lock_restart @hang\n")
        .unwrap();
    manager.upgrade(&[1], parameters.clone()).await;
    manager.wait_for_step(1, "upgrade").await.unwrap();
    manager.upgrade(&[2, 3, 4], parameters.clone()).await;
    manager.wait_for_step(2, "lock_restart").await.unwrap();
    manager.remoted.set_rules("").unwrap();
    rename(&mut manager, "node02").await;

    // The agent's word counts whatever the node is called.
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    assert_eq!(end_of(&manager, 1).await, "Updated");
    assert_eq!(manager.result(1).await["node"], "node01");
    // What was not begun is carried out under the new name, once.
    for agent in [2, 3, 4] {
        assert_eq!(end_of(&manager, agent).await, "Updated");
        let item = manager.result(agent).await;
        assert_eq!(
            (&item["task_id"], &item["node"]),
            (&json!(agent), &json!("node02"))
        );
    }
    let upgrades = |agent| manager.remoted.count(agent, "upgrade");
    assert_eq!([1, 2, 3, 4].map(upgrades), [1, 1, 1, 1]);
}

#[tokio::test]
async fn asking_for_the_status_under_another_name_takes_away_what_nobody_carries_out() {
    let (mut manager, _repository, parameters) = fleet(&settings("node01"), 3).await;
    manager.remoted.set_rules("1 lock_restart @hang\n").unwrap();
    manager.upgrade(&[1, 2], parameters).await;
    manager.wait_for_step(1, "lock_restart").await.unwrap();
    // What a module that is no more waits with.
    let create = json!({"origin": {"name": "node03", "module": "upgrade_module"},
        "command": "upgrade", "parameters": {"agents": [3]}});
    manager.ask_tasks(create.to_string()).await.unwrap();
    assert_eq!(status(&manager, "node03", 3).await, Some(json!("Pending")));
    for agent in [1, 2] {
        let shown = status(&manager, "node02", agent).await;
        assert!(shown.is_some(), "agent {agent} is carried out here");
    }
    assert_eq!(status(&manager, "node02", 3).await, None);
    assert_eq!(manager.result(3).await["error"], 3);
    // Cancelling under another name concerns nobody here.
    let cancel = json!({"origin": {"name": "node02", "module": "upgrade_module"},
        "command": "upgrade_cancel_tasks", "parameters": {}});
    let answer = manager.ask_tasks(cancel.to_string()).await.unwrap();
    assert_eq!(answer["error"], 0);
    assert_eq!(manager.result(1).await["status"], "Updating");
    // The withdrawn task does not come back, and the other is carried out.
    manager.remoted.set_rules("").unwrap();
    rename(&mut manager, "node01").await;
    assert_eq!(manager.result(3).await["error"], 3);
    assert_eq!(end_of(&manager, 2).await, "Updated");
    assert!(manager.remoted.steps(3).is_empty());
}
