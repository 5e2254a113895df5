//! The way of the official client (PROTOCOL.md, section 13): agents in chunks,
//! smaller chunks when the task manager has trouble, results until all have
//! ended; and a fleet in which everything occurs that a request can meet.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{Manager, Repository, wait_until};

use crate::fleet;

/// Code 4: the whole list again, in smaller chunks.
const TASK_MANAGER: u64 = 4;

/// Asks for upgrades as the official client does. Returns the code of each
/// agent and the size of the chunks that went through.
async fn upgrade_all(
    manager: &Manager,
    agents: &[u32],
    parameters: &Value,
    mut chunk: usize,
    mut on_trouble: impl FnMut(),
) -> (BTreeMap<u64, u64>, usize) {
    let mut codes = BTreeMap::new();
    'again: loop {
        for agents in agents.chunks(chunk) {
            let items = manager.upgrade(agents, parameters.clone()).await;
            assert_eq!(items.len(), agents.len());
            if items.iter().any(|item| item["error"] == TASK_MANAGER) {
                on_trouble();
                chunk = (chunk / 2).max(1);
                continue 'again;
            }
            for item in items {
                codes.insert(
                    item["agent"].as_u64().unwrap(),
                    item["error"].as_u64().unwrap(),
                );
            }
        }
        return (codes, chunk);
    }
}

/// Waits for the end of all upgrades, as the client does: agents without a task
/// are dropped from the answer.
async fn results(manager: &Manager, agents: &[u32]) -> BTreeMap<u64, String> {
    let request = json!({"origin": {"module": "api"}, "command": "upgrade_result",
        "parameters": {"agents": agents}});
    let request = request.to_string();
    wait_until(PATIENCE, async || {
        let answer = manager.ask(&request).await?;
        let mut ends = BTreeMap::new();
        for item in answer["data"].as_array()? {
            if item["error"] == 3 {
                continue;
            }
            let status = item["status"].as_str()?;
            if status == "In queue" || status == "Updating" {
                return None;
            }
            let reason = item["error_msg"].as_str().unwrap_or(status);
            ends.insert(item["agent"].as_u64()?, reason.to_owned());
        }
        Some(ends)
    })
    .await
    .expect("all have ended")
}

/// A fleet of a 4.x manager with everything that a request can meet.
#[tokio::test]
async fn a_mixed_fleet_in_chunks() {
    let settings = "dialect = \"wazuh-4\"\n[node]\nversion = \"v4.14.8\"";
    let (manager, repository, mut parameters) = fleet(settings, 20).await;
    parameters.as_object_mut().unwrap().remove("version");
    let set = |id: i64, column: &str, value: Value| manager.wdb.set_column(id, column, value);
    set(2, "connection_status", json!("disconnected"));
    set(3, "connection_status", json!("never_connected"));
    set(4, "os_platform", json!("solaris"));
    set(5, "version", json!("Wazuh v2.9.0"));
    set(6, "version", json!("Wazuh v4.14.8"));
    set(7, "version", json!("Wazuh v4.15.0"));
    set(8, "os_arch", Value::Null);
    set(9, "os_platform", json!("gentoo"));
    set(10, "version", json!("Wazuh v4.0.9"));
    manager.wdb.remove_agent(11);
    let rules = "12 sha1 {\"error\":0,\"message\":\"00\",\"data\":[]}\n13 upgrade @ack:2:Failed\n\
                 14 upgrade @ack:1:Failed\n15 open @close\n";
    manager.remoted.set_rules(rules).unwrap();
    let agents: Vec<u32> = (0..=20).collect();
    let (codes, chunk) = upgrade_all(&manager, &agents, &parameters, 4, || {}).await;
    assert_eq!(chunk, 4);
    let refused: BTreeMap<u64, u64> = codes.into_iter().filter(|(_, code)| *code != 0).collect();
    let expected = [
        (0, 7),
        (2, 8),
        (3, 8),
        (4, 9),
        (5, 11),
        (6, 12),
        (7, 12),
        (8, 6),
        (11, 6),
    ];
    assert_eq!(refused, expected.into());
    // An old agent gets the file, but its word never comes; here it does.
    manager.wait_for_step(10, "upgrade").await.unwrap();
    wait_until(PATIENCE, async || {
        (manager.result(10).await["status"] == "Updating").then_some(())
    })
    .await
    .unwrap();
    manager.remoted.acknowledge(10, 0, "Done").await.unwrap();

    let ends = results(&manager, &agents).await;
    let mut expected: BTreeMap<u64, &str> = [1, 10, 16, 17, 18, 19, 20]
        .map(|agent| (agent, "Updated"))
        .into();
    expected.extend([
        (9, "The WPK for this platform is not available"),
        (12, "Send verify sha1 error"),
        (13, "Upgrade procedure exited with error code"),
        (
            14,
            "Upgrade procedure exited with error code, missing dependency in agent",
        ),
        (15, "Send open file error"),
    ]);
    let expected: BTreeMap<u64, String> = expected
        .into_iter()
        .map(|(agent, end)| (agent, end.to_owned()))
        .collect();
    assert_eq!(ends, expected);
    assert_eq!(manager.remoted.violations(), Vec::<String>::new());
    // One list and one file, whoever asked for them.
    let downloads = repository.server.paths();
    assert_eq!(
        downloads
            .iter()
            .filter(|path| path.ends_with(".wpk"))
            .count(),
        1
    );
}

/// While tasks cannot be stored everybody hears so, and nothing is created that
/// nobody would hear of.
#[tokio::test]
async fn trouble_with_the_task_manager_halves_the_chunks() {
    let (manager, _repository, parameters) = fleet("", 10).await;
    let database = rusqlite::Connection::open(manager.home.tasks_db()).unwrap();
    database
        .execute_batch("ALTER TABLE TASKS RENAME TO AWAY")
        .unwrap();
    let mut troubles = 0;
    let repaired = || {
        troubles += 1;
        if troubles == 2 {
            database
                .execute_batch("ALTER TABLE AWAY RENAME TO TASKS")
                .unwrap();
        }
    };
    let agents: Vec<u32> = (1..=10).collect();
    let (codes, chunk) = upgrade_all(&manager, &agents, &parameters, 8, repaired).await;
    assert_eq!(chunk, 2);
    assert!(codes.values().all(|code| *code == 0), "{codes:?}");
    let ends = results(&manager, &agents).await;
    assert!(ends.values().all(|end| end == "Updated"), "{ends:?}");
    for agent in agents {
        assert_eq!(
            manager.result(agent).await["task_id"],
            agent,
            "no task is left over"
        );
    }
}

/// What can be wrong with a repository, for several agents of one request.
#[tokio::test]
async fn a_repository_in_trouble_fails_each_task_with_its_reason() {
    let settings = "dialect = \"wazuh-4\"\n[node]\nversion = \"v4.14.8\"";
    let (manager, repository, parameters) = fleet(settings, 12).await;
    let good = wpk_testkit::repository::sha1_hex(b"good");
    let file = |version: &str| format!("wazuh_agent_{version}_linux_amd64.deb.wpk");
    let folder = wpk_testkit::repository::DEB;
    repository
        .publish_as(folder, "v4.14.2", &file("v4.14.2"), b"changed", &good)
        .unwrap();
    repository
        .publish_as(folder, "v4.14.3", "another_name.wpk", b"good", &good)
        .unwrap();
    let other = Repository::start().await.unwrap();
    let gone = other.base();
    drop(other);
    let wrong = |key: &str, value: Value| {
        let mut parameters = parameters.clone();
        parameters[key] = value;
        parameters
    };
    let cases = [
        (
            1,
            wrong("version", json!("v4.14.1")),
            "The version of the WPK does not exist in the repository",
        ),
        (
            4,
            wrong("version", json!("v4.14.2")),
            "The WPK sha1 of the file is not valid",
        ),
        (
            7,
            wrong("version", json!("v4.14.3")),
            "The WPK file does not exist",
        ),
        (
            10,
            wrong("wpk_repo", json!(gone)),
            "The repository is not reachable",
        ),
    ];
    for (first, parameters, reason) in cases {
        let agents: Vec<u32> = (first..first + 3).collect();
        manager.upgrade(&agents, parameters).await;
        let ends = results(&manager, &agents).await;
        assert_eq!(ends.len(), 3);
        assert!(ends.values().all(|end| end == reason), "{ends:?}");
        assert!(
            agents
                .iter()
                .all(|agent| manager.remoted.steps(*agent).is_empty())
        );
    }
    // None of them is stuck.
    let agents: Vec<u32> = (1..=12).collect();
    manager.upgrade(&agents, parameters).await;
    let ends = results(&manager, &agents).await;
    assert!(ends.values().all(|end| end == "Updated"), "{ends:?}");
}
