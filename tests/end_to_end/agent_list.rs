//! The list of agents that `wpkctl agents` and `agent_upgrade -l` show.

use serde_json::{Value, json};
use wpk_testkit::Manager;
use wpk_testkit::wdb::agent_row;

async fn ids(manager: &Manager, parameters: Value) -> Vec<i64> {
    let request =
        json!({"origin": {"module": "api"}, "command": "agent_list", "parameters": parameters});
    let answer = manager.ask(request.to_string()).await.unwrap();
    assert_eq!(answer["error"], 0, "{answer}");
    let items = answer["data"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["agent"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn agents_are_listed_in_pages_and_by_their_version() {
    let manager = Manager::start("").await.unwrap();
    // The manager is v4.14.9; as on a real one it has a record of its own.
    manager.wdb.set_agent(agent_row(0, "Wazuh v4.14.9"));
    manager
        .wdb
        .set_agents((1..=1500).map(|id| agent_row(id, "Wazuh v4.14.9")));
    manager.wdb.set_agent(agent_row(700, "Wazuh v4.15.0"));
    manager.wdb.set_agent(agent_row(1400, "Wazuh v4.7.0"));
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied().unwrap_or(0);
        let page = ids(&manager, json!({"after": after, "limit": 999})).await;
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, (1..=1500).collect::<Vec<_>>());
    assert_eq!(ids(&manager, json!({"version": "older"})).await, [1400]);
    assert_eq!(ids(&manager, json!({"version": "different"})).await, [700]);
    assert_eq!(
        ids(&manager, json!({"version": "different", "after": 700})).await,
        [1400]
    );
    assert_eq!(
        ids(&manager, json!({"version": "older", "after": 1400})).await,
        [0; 0]
    );
}
