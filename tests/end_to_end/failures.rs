//! Failures 14 to 25, each by a real cause, each as the task's `error_msg`.

use serde_json::json;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository, fleet};

async fn failed(manager: &Manager, agent: u32) -> String {
    let item = manager
        .wait_for_status(agent, &["Error", "Updated", "Legacy"])
        .await
        .expect("an end");
    assert_eq!(item["status"], "Error", "{item}");
    item["error_msg"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_can_fail_before_anything_is_sent() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.1", &[1; 5000]).unwrap();
    repository.publish("v4.14.2", &[2; 5000]).unwrap();
    repository.publish("v4.14.3", &[3; 5000]).unwrap();
    let folder = repository.folder().join(wpk_testkit::repository::DEB);
    std::fs::remove_file(folder.join("wazuh_agent_v4.14.1_linux_amd64.deb.wpk")).unwrap();
    let changed = folder.join("wazuh_agent_v4.14.2_linux_amd64.deb.wpk");
    let mut bytes = std::fs::read(&changed).unwrap();
    bytes[2500] ^= 1;
    std::fs::write(&changed, bytes).unwrap();

    let manager = Manager::start("").await.unwrap();
    manager
        .wdb
        .set_agents((1..=9).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let base = repository.base();
    let cases = [
        (
            1,
            closed.to_string(),
            "v4.14.3",
            "The repository is not reachable",
        ),
        (
            2,
            format!("{base}nowhere/"),
            "v4.14.3",
            "The repository is not reachable",
        ),
        (
            3,
            base.clone(),
            "v4.14.0",
            "The version of the WPK does not exist in the repository",
        ),
        (
            4,
            base.clone(),
            "v4.14",
            "The version of the WPK does not exist in the repository",
        ),
        (5, base.clone(), "v4.14.1", "The WPK file does not exist"),
        (
            6,
            base.clone(),
            "v4.14.2",
            "The WPK sha1 of the file is not valid",
        ),
    ];
    for (agent, wpk_repo, version, text) in cases {
        let parameters = json!({"wpk_repo": wpk_repo, "use_http": true, "version": version});
        let items = manager.upgrade(&[agent], parameters).await;
        assert_eq!(items[0]["error"], 0, "{items:?}");
        assert_eq!(failed(&manager, agent).await, text, "agent {agent}");
    }
    // Plain HTTP where HTTPS was asked for.
    let items = manager
        .upgrade(&[7], json!({"wpk_repo": base, "version": "v4.14.3"}))
        .await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    assert_eq!(failed(&manager, 7).await, "The repository is not reachable");
    let items = manager
        .upgrade_custom(&[8], json!({"file_path": "/nonexistent.wpk"}))
        .await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    assert_eq!(failed(&manager, 8).await, "The WPK file does not exist");
    assert_eq!(manager.remoted.frames().len(), 0, "no agent heard of it");
    // The bad download left nothing behind that could be taken for a good one.
    let left: Vec<_> = std::fs::read_dir(manager.home.path("var/upgrade"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn every_step_the_agent_refuses_has_its_text() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", &[1; 100_000]).unwrap();
    // An agent that is not ready yet is asked as 4.x asks it.
    let settings = "[delivery]\nready_within = \"0s\"";
    let manager = Manager::start(settings).await.unwrap();
    let steps = [
        ("lock_restart", "Send lock restart error"),
        ("open", "Send open file error"),
        ("write", "Send write file error"),
        ("close", "Send close file error"),
        ("sha1", "Send verify sha1 error"),
        ("upgrade", "Send upgrade command error"),
    ];
    let answers = [
        "err Cannot send request",
        "@close",
        r#"{"error":1,"message":"bad","data":[]}"#,
        "",
    ];
    // Old agents take plain text, new ones JSON; both fail at every step in
    // every way.
    let mut agent = 0;
    let (mut expected, mut rules) = (Vec::new(), String::new());
    for version in ["Wazuh v4.0.9", "Wazuh v4.7.0"] {
        for (step, text) in steps {
            for answer in answers {
                agent += 1;
                manager.wdb.set_agent(agent_row(agent, version));
                rules.push_str(&format!("{agent} {step} {answer}\n"));
                // Silence after the last step is no refusal.
                let silent = (step, answer) == ("upgrade", "@close");
                expected.push((agent as u32, step, (!silent).then_some(text)));
            }
        }
    }
    manager.remoted.set_rules(&rules).unwrap();
    let agents: Vec<u32> = expected.iter().map(|(agent, ..)| *agent).collect();
    let items = manager
        .upgrade(
            &agents,
            json!({"wpk_repo": repository.base(), "use_http": true}),
        )
        .await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    for (agent, step, text) in expected {
        match text {
            Some(text) => assert_eq!(failed(&manager, agent).await, text, "agent {agent}, {step}"),
            None => {
                manager.wait_for_step(agent, step).await.unwrap();
                manager.remoted.acknowledge(agent, 0, "Done").await.unwrap();
                let item = manager.wait_for_status(agent, &["Updated", "Error"]).await;
                assert_eq!(item.unwrap()["status"], "Updated", "agent {agent}");
                manager
                    .wait_for_step(agent, "clear_upgrade_result")
                    .await
                    .unwrap();
                continue;
            }
        }
        let last = manager.remoted.steps(agent).pop().unwrap();
        assert_eq!(
            last, step,
            "agent {agent} heard nothing after the step that failed"
        );
        let opens = manager
            .remoted
            .steps(agent)
            .iter()
            .filter(|s| *s == "open")
            .count();
        let wanted = match step {
            "lock_restart" => 0,
            "open" => 10,
            _ => 1,
        };
        assert_eq!(opens, wanted, "agent {agent}, {step}");
    }
    // However many agents got it, it was downloaded once.
    let downloads = repository
        .server
        .paths()
        .iter()
        .filter(|path| path.ends_with(".wpk"))
        .count();
    assert_eq!(downloads, 1);
}

#[tokio::test]
async fn an_agent_that_got_other_bytes_fails_at_sha1() {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", &[1; 1000]).unwrap();
    let manager = Manager::start("").await.unwrap();
    manager.wdb.set_agent(agent_row(1, "Wazuh v4.7.0"));
    let wrong = "0".repeat(40);
    manager
        .remoted
        .set_rules(&format!(
            "1 sha1 {{\"error\":0,\"message\":\"{wrong}\",\"data\":[]}}\n"
        ))
        .unwrap();
    manager
        .upgrade(
            &[1],
            json!({"wpk_repo": repository.base(), "use_http": true}),
        )
        .await;
    assert_eq!(failed(&manager, 1).await, "Send verify sha1 error");
    assert!(manager.remoted.upgraded(1).is_none());
}

#[tokio::test]
async fn what_the_agent_reports_becomes_the_reason() {
    let (manager, _repository, parameters) = fleet("", 6, &[1; 1000]).await.unwrap();
    let rules = "1 upgrade @ack:2:Failed\n2 upgrade @ack:1:Failed\n3 upgrade @ack:0:Done\n\
                 4 upgrade @ack:2:Done\n5 upgrade @ack:0:Failed\n6 upgrade {\"error\":0,\"message\":\"1\",\"data\":[]}\n";
    manager.remoted.set_rules(rules).unwrap();
    manager.upgrade(&[1, 2, 3, 4, 5, 6], parameters).await;
    let generic = "Upgrade procedure exited with error code";
    let dependency = "Upgrade procedure exited with error code, missing dependency in agent";
    assert_eq!(failed(&manager, 1).await, generic);
    assert_eq!(failed(&manager, 2).await, dependency);
    manager.wait_for_status(3, &["Updated"]).await.unwrap();
    // Where error and status contradict each other, error decides.
    assert_eq!(failed(&manager, 4).await, generic);
    let item = manager.wait_for_status(5, &["Updated"]).await.unwrap();
    assert_eq!(item.get("error_msg"), None);
    assert_eq!(failed(&manager, 6).await, "Send upgrade command error");
    for agent in 1..=5 {
        let patience = wpk_testkit::manager::PATIENCE;
        assert!(
            manager
                .remoted
                .wait_for(agent, "clear_upgrade_result", patience)
                .await
                .is_some()
        );
    }
}
