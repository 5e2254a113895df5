//! `"dry_run": true`: the daemon says what it would do and does nothing.

use serde_json::{Value, json};
use wpk_testkit::fleet;

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (manager, repository, mut parameters) = fleet("", 3, &[1; 1000]).await.unwrap();
    parameters["dry_run"] = json!(true);
    manager
        .wdb
        .set_column(2, "connection_status", json!("disconnected"));
    let items = manager.upgrade(&[1, 2, 1, 9], parameters.clone()).await;
    let location = format!(
        "http://{}linux/deb/amd64/wazuh_agent_v4.14.8_linux_amd64.deb.wpk",
        repository.base()
    );
    assert_eq!(
        Value::from(items),
        json!([
            {"error": 0, "message": "Success", "agent": 1, "target": "v4.14.8",
             "file": "wazuh_agent_v4.14.8_linux_amd64.deb.wpk", "location": location},
            {"error": 8, "message": "Agent is not active", "agent": 2},
            {"error": 10, "message": "Upgrade procedure could not start. Agent already upgrading", "agent": 1},
            {"error": 6, "message": "Agent information not found in database", "agent": 9},
        ])
    );
    // What only a delivery would notice is said as well.
    let mut missing = parameters.clone();
    missing["version"] = json!("v4.14.5");
    let item = manager.upgrade(&[1], missing).await.remove(0);
    assert_eq!(
        (&item["error"], &item["target"]),
        (&json!(15), &json!("v4.14.5")),
        "{item}"
    );
    assert!(
        item["reason"].as_str().unwrap().contains("v4.14.5"),
        "{item}"
    );
    let custom = json!({"file_path": "/nonexistent.wpk", "dry_run": true});
    let item = manager.upgrade_custom(&[1], custom).await.remove(0);
    assert_eq!(item["error"], 16, "{item}");

    assert_eq!(manager.result(1).await["error"], 3, "no task was created");
    assert_eq!(manager.remoted.frames().len(), 0);
    assert!(
        !repository
            .server
            .paths()
            .iter()
            .any(|path| path.ends_with(".wpk"))
    );
}

/// The answer has no word for it, so the log says it before a task is made.
#[tokio::test]
async fn a_file_that_cannot_be_sent_is_told_in_the_log() {
    let (manager, _repository, mut parameters) = fleet("", 2, &[1; 1000]).await.unwrap();
    std::fs::write(manager.home.path("var/upgrade/own.wpk"), [3; 50]).unwrap();
    for (agent, file) in [(1, "var/upgrade/none.wpk"), (2, "var/upgrade/own.wpk")] {
        let file = json!({"file_path": file});
        let item = manager.upgrade_custom(&[agent], file).await.remove(0);
        assert_eq!(item["error"], 0, "{item}");
    }
    let failed = manager.wait_for_status(1, &["Error"]).await.unwrap();
    assert_eq!(failed["error_msg"], "The WPK file does not exist");
    // A relative path starts at the home.
    manager.wait_for_status(2, &["Updated"]).await.unwrap();
    let log = manager.output();
    let told = |line: &&str| line.contains("cannot be sent") && line.contains("none.wpk");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    assert!(log.contains("there is no such file"), "{log}");

    assert!(!log.contains("passes over"), "{log}");
    parameters["file_path"] = json!("/x.wpk");
    parameters["force_upgrade"] = json!(true);
    let item = manager.upgrade(&[1], parameters).await.remove(0);
    assert_eq!(item["error"], 0, "{item}");
    assert!(manager.output().contains("passes over"));
}
