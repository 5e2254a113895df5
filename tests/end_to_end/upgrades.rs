//! Whole upgrades: the statuses a client sees on the way, both command forms,
//! acknowledgements in odd moments, time-outs.

use serde_json::{Value, json};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, fleet};

async fn manager_and_repository(settings: &str) -> (Manager, Repository, Value) {
    fleet(settings, 3, &[5; 300_000]).await.unwrap()
}

#[tokio::test]
async fn a_client_sees_in_queue_then_updating_then_updated() {
    let settings = "[delivery]\nmax_concurrent = 1";
    let (manager, _repository, parameters) = manager_and_repository(settings).await;
    // Agent 1 is told nothing of its own end until the test says so.
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    manager
        .remoted
        .set_latency(std::time::Duration::from_millis(20));
    let items = manager.upgrade(&[1, 2], parameters).await;
    assert_eq!(items.len(), 2);
    // One delivery at a time: the second agent waits in the queue, without an
    // update time, while the first is being written to.
    manager.wait_for_step(1, "write").await.unwrap();
    let first = manager.result(1).await;
    assert_eq!(first["status"], "Updating", "{first}");
    let second = manager.result(2).await;
    assert_eq!(second["status"], "In queue", "{second}");
    assert_eq!(second["update_time"], "0", "{second}");
    manager.remoted.set_latency(std::time::Duration::ZERO);

    manager.wait_for_status(2, &["Updated"]).await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updating");
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    let item = manager.wait_for_status(1, &["Updated"]).await.unwrap();
    assert_eq!(item.get("error_msg"), None);
    // An agent that repeats itself is told to stop, and changes nothing.
    manager.remoted.acknowledge(1, 2, "Failed").await.unwrap();
    assert!(
        manager
            .remoted
            .wait_for_nth(1, "clear_upgrade_result", 2, PATIENCE)
            .await
            .is_some()
    );
    assert_eq!(manager.result(1).await["status"], "Updated");
}

#[tokio::test]
async fn the_4x_dialect_has_the_4x_texts() {
    let settings = "dialect = \"wazuh-4\"\n[tasks]\ntask_timeout = \"2s\"\n[node]\nversion = \"v4.14.8\"\n[delivery]\nmax_concurrent = 1";
    let (mut manager, repository, parameters) = manager_and_repository(settings).await;
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    // The default target is the manager's own version, whatever is newer.
    repository.publish("v4.15.0", b"too new").unwrap();
    manager.upgrade(&[1], parameters.clone()).await;
    let timeout = "Timeout reached while waiting for the response from the agent, check the result \
                   manually on the agent for more information";
    manager.wait_for_step(1, "upgrade").await.unwrap();
    manager
        .wait_for_status(1, &[timeout])
        .await
        .expect("a time-out");
    assert_eq!(manager.remoted.received(1).unwrap().len(), 300_000);
    // A late word corrects it, and the agent is told to stop.
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    assert!(
        manager
            .wait_for_step(1, "clear_upgrade_result")
            .await
            .is_some()
    );
    assert_eq!(manager.result(1).await["status"], "Updated");
    // After the time-out a new task may begin.
    manager.remoted.set_rules("").unwrap();
    let items = manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    manager.wait_for_status(1, &["Updated"]).await.unwrap();

    // A target below v4.1.0 never reports.
    let wpk = [9; 2000];
    let sha1 = wpk_testkit::repository::sha1_hex(&wpk);
    let name = "wazuh_agent_v4.0.4_linux_x86_64.wpk";
    repository
        .publish_as("linux/x86_64", "v4.0.4", name, &wpk, &sha1)
        .unwrap();
    let mut older = parameters.clone();
    older["version"] = json!("4.0.4");
    older["force_upgrade"] = json!(true);
    manager.upgrade(&[2], older).await;
    let legacy = "Legacy upgrade: check the result manually since the agent cannot report the result of the task";
    manager.wait_for_status(2, &[legacy]).await.expect("Legacy");

    // A task that is waiting when the daemon restarts with on_restart = "cancel".
    manager
        .remoted
        .set_latency(std::time::Duration::from_millis(200));
    manager.upgrade(&[1, 3], parameters).await;
    manager
        .remoted
        .wait_for_nth(1, "write", 2, PATIENCE)
        .await
        .unwrap();
    manager.kill().await.unwrap();
    manager
        .configure(&settings.replace("[tasks]", "[tasks]\non_restart = \"cancel\""))
        .unwrap();
    manager.boot().await.unwrap();
    let item = manager.result(3).await;
    assert_eq!(
        item["status"], "Task cancelled since the manager was restarted",
        "{item}"
    );
}

#[tokio::test]
async fn old_agents_get_the_same_file_in_plain_commands() {
    let (manager, _repository, parameters) = manager_and_repository("").await;
    manager.wdb.set_agent(agent_row(1, "Wazuh v3.12.0"));
    manager.wdb.set_agent(agent_row(2, "Wazuh v4.7.0"));
    manager.upgrade(&[1, 2], parameters).await;
    for agent in [1, 2] {
        manager.wait_for_step(agent, "upgrade").await.unwrap();
        assert_eq!(
            manager.remoted.received(agent).unwrap(),
            vec![5; 300_000],
            "agent {agent}"
        );
    }
    assert_eq!(manager.remoted.violations(), Vec::<String>::new());
    let steps = manager.remoted.steps(1);
    let mut wanted = vec!["lock_restart", "open"];
    wanted.extend(["write"; 10]);
    wanted.extend(["close", "sha1", "upgrade"]);
    assert_eq!(steps, wanted);
}

#[tokio::test]
async fn the_largest_chunks_still_fit_a_frame() {
    for chunk_size in ["60000", "\"auto\"", "64"] {
        let settings = format!("[delivery]\nchunk_size = {chunk_size}");
        let repository = Repository::start().await.unwrap();
        repository.publish("v4.14.8", &vec![3; 200_000]).unwrap();
        let manager = Manager::start(&settings).await.unwrap();
        manager.wdb.set_agent(agent_row(1, "Wazuh v4.7.0"));
        manager.wdb.set_agent(agent_row(2, "Wazuh v3.12.0"));
        manager
            .upgrade(
                &[1, 2],
                json!({"wpk_repo": repository.base(), "use_http": true}),
            )
            .await;
        for agent in [1, 2] {
            manager.wait_for_step(agent, "upgrade").await.unwrap();
            assert_eq!(manager.remoted.received(agent).unwrap(), vec![3; 200_000]);
        }
        assert_eq!(
            manager.remoted.violations(),
            Vec::<String>::new(),
            "{chunk_size}"
        );
    }
}

#[tokio::test]
async fn a_cached_file_is_reused_and_a_damaged_one_is_not() {
    let (manager, repository, parameters) = manager_and_repository("").await;
    let downloads = || {
        repository
            .server
            .paths()
            .iter()
            .filter(|path| path.ends_with(".wpk"))
            .count()
    };
    manager.upgrade(&[1], parameters.clone()).await;
    manager.wait_for_status(1, &["Updated"]).await.unwrap();
    manager.upgrade(&[2], parameters.clone()).await;
    manager.wait_for_status(2, &["Updated"]).await.unwrap();
    assert_eq!(downloads(), 1);
    let cached = manager
        .home
        .path("var/upgrade/wazuh_agent_v4.14.8_linux_amd64.deb.wpk");
    std::fs::write(&cached, [5; 299_999]).unwrap();
    manager.upgrade(&[3], parameters).await;
    manager.wait_for_status(3, &["Updated"]).await.unwrap();
    assert_eq!(downloads(), 2);
    assert_eq!(manager.remoted.received(3).unwrap(), vec![5; 300_000]);
}

#[tokio::test]
async fn an_acknowledgement_names_each_agent_for_itself() {
    let (manager, _repository, parameters) = manager_and_repository("").await;
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    manager.upgrade(&[1], parameters).await;
    manager.wait_for_step(1, "upgrade").await.unwrap();
    // No origin, an unknown agent beside a known one, an agent channel that is slow.
    manager
        .remoted
        .set_latency(std::time::Duration::from_secs(3));
    let request = json!({"command": "upgrade_update_status", "parameters":
        {"agents": [7, 1], "error": 0, "message": "Upgrade was successful", "status": "Done"}});
    let began = std::time::Instant::now();
    let answer = manager.ask(request.to_string()).await.unwrap();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(2),
        "the answer waits for no agent"
    );
    assert_eq!(
        answer["data"],
        json!([
            {"error": 3, "message": "No task in DB", "agent": 7},
            {"error": 0, "message": "Success", "agent": 1},
        ])
    );
    assert_eq!(manager.result(1).await["status"], "Updated");
    assert!(
        manager
            .wait_for_step(7, "clear_upgrade_result")
            .await
            .is_some()
    );
}
