//! Names of nodes, and requests that are asked of another node than the agent's.

use std::time::Duration;

use serde_json::{Value, json};
use wpk_testkit::Manager;

use crate::stand::{Site, settings};

#[tokio::test]
async fn a_name_is_one_daemons_and_a_killed_one_has_it_again_at_once() {
    let Some(mut site) = Site::start(1_000, "").await else {
        return;
    };
    let mut double = Manager::prepare(&settings(0, &site.database, ""))
        .await
        .unwrap();
    let refused = double.boot().await.unwrap_err().to_string();
    assert!(refused.contains("node node01 is held"), "{refused}");
    assert!(
        refused.contains("two daemons must not have one name"),
        "{refused}"
    );

    site.place(1..=1, 0);
    site.nodes[0].kill().await.unwrap();
    site.nodes[0].boot().await.unwrap();
    let output = site.nodes[0].output();
    assert!(!output.contains("waiting whether it lives"), "{output}");
    site.nodes[0].upgrade(&[1], site.parameters.clone()).await;
    site.nodes[0]
        .wait_for_status(1, &["Updated"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_node_without_a_name_does_not_start() {
    let Some(site) = Site::start(1_000, "").await else {
        return;
    };
    let with_name = settings(0, &site.database, "");
    let without = with_name.replace("[node]\nname = \"node01\"\n", "");
    let manager = Manager::prepare(&without).await.unwrap();
    // The stand's own settings give one.
    let text = std::fs::read_to_string(manager.config()).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    let node = table.get_mut("node").and_then(toml::Value::as_table_mut);
    node.unwrap().remove("name");
    std::fs::write(manager.config(), toml::to_string(&table).unwrap()).unwrap();
    let mut manager = manager;
    let refused = manager.boot().await.unwrap_err().to_string();
    assert!(refused.contains("node.name"), "{refused}");
}

#[tokio::test]
async fn any_node_takes_requests_words_and_questions_for_all() {
    let Some(site) = Site::start(1_000, "").await else {
        return;
    };
    site.place(1..=3, 0);
    site.place(4..=6, 1);
    site.acquainted().await;
    let items = site.nodes[1]
        .upgrade(&[1, 4], site.parameters.clone())
        .await;
    assert!(
        items.iter().all(|item| item["error"] == json!(0)),
        "{items:?}"
    );
    for node in &site.nodes {
        for agent in [1, 4] {
            node.wait_for_status(agent, &["Updated"]).await.unwrap();
        }
    }
    assert_eq!(site.nodes[0].remoted.count(1, "upgrade"), 1);
    assert_eq!(site.nodes[1].remoted.count(1, "upgrade"), 0);
    assert_eq!(site.nodes[1].remoted.count(4, "upgrade"), 1);

    // A file of a machine is the delivering node's, and whoever asked elsewhere is told so.
    let file = json!({"file_path": "/srv/nowhere/agent.wpk"});
    site.nodes[1].upgrade_custom(&[2], file).await;
    site.nodes[1].wait_for_status(2, &["Error"]).await.unwrap();
    let asked = json!({
        "origin": {"module": "api"}, "command": "upgrade_timeline", "parameters": {"agents": [2]},
    });
    let told = site.nodes[1]
        .ask(asked.to_string())
        .await
        .unwrap_or(Value::Null);
    assert!(told.to_string().contains("on node node01"), "{told}");
}

#[tokio::test]
async fn without_the_database_requests_end_soon_and_deliveries_go_on() {
    let Some(mut site) = Site::start(200_000, "").await else {
        return;
    };
    site.place(1..=3, 0);
    // Slow enough that its end meets no database.
    site.nodes[0]
        .remoted
        .set_latency(Duration::from_millis(200));
    site.nodes[0].upgrade(&[1], site.parameters.clone()).await;
    site.nodes[0].wait_for_step(1, "write").await.unwrap();
    site.database.kill();
    let asked = std::time::Instant::now();
    let items = site.nodes[0].upgrade(&[2], site.parameters.clone()).await;
    assert_eq!(items[0]["error"], json!(4), "{items:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    site.nodes[0].wait_for_step(1, "sha1").await.unwrap();
    site.database.restart();
    let ended = site.nodes[0].wait_for_status(1, &["Updated"]).await;
    ended.unwrap_or_else(|| panic!("{}", site.nodes[0].output()));
    let items = site.nodes[0].upgrade(&[2], site.parameters.clone()).await;
    assert_eq!(items[0]["error"], json!(0), "{items:?}");
}
