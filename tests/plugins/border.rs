//! A daemon all of whose parts are behind the border: the built-in plugins,
//! loaded from a library.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wpk_api::Task;
use wpk_testkit::Manager;
use wpk_testkit::library::Library;

use crate::common::{end, enroll, repository};

const ALL: &str = r#"
[[source]]
type = "border-unix-socket"
[directory]
type = "border-wazuh-db"
[transport]
type = "border-remoted"
timeout = "5s"
[[provider]]
type = "border-repository"
attempts = 2
[[provider]]
type = "border-local-file"
[store]
type = "border-sqlite"
[[observer]]
type = "border-memory"
"#;

fn settings(library: &Library) -> String {
    format!("{ALL}\n[[plugin]]\npath = {:?}\n", library.path())
}

#[tokio::test]
async fn every_kind_of_plugin_crosses_the_border() {
    let library = Library::builtins().unwrap();
    let (_repository, parameters) = repository().await;
    let mut manager = Manager::start(&settings(&library)).await.unwrap();
    enroll(&manager);
    let items = manager.upgrade(&[1, 2, 3], parameters.clone()).await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    for agent in 1..=3 {
        assert_eq!(end(&manager, agent).await["status"], "Updated");
    }
    let file = manager.home.path("tmp/custom.wpk");
    std::fs::write(&file, [7; 50_000]).unwrap();
    let nothing = json!({"file_path": "/nonexistent.wpk"});
    manager.upgrade_custom(&[4], nothing).await;
    assert_eq!(
        end(&manager, 4).await["error_msg"],
        "The WPK file does not exist"
    );
    manager
        .upgrade_custom(&[5], json!({"file_path": file}))
        .await;
    assert_eq!(end(&manager, 5).await["status"], "Updated");
    // An agent that the directory does not know.
    let items = manager.upgrade(&[4711], parameters).await;
    assert_ne!(items[0]["error"], 0, "{items:?}");
    // Tasks outlive the daemon, and it stops in order, when the observer has heard of all.
    assert!(manager.stop().await.unwrap().success());
    let observed = std::fs::read(manager.home.path("observed.json")).unwrap();
    let observed: BTreeMap<i64, Task> = serde_json::from_slice(&observed).unwrap();
    let statuses: BTreeMap<u32, &str> = (observed.values())
        .map(|task| (task.agent.get(), task.status.as_str()))
        .collect();
    let expected = [
        (1, "Done"),
        (2, "Done"),
        (3, "Done"),
        (4, "Failed"),
        (5, "Done"),
    ];
    assert_eq!(statuses, expected.into());
    manager.boot().await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updated");
    manager.kill().await.unwrap();
    manager.boot().await.unwrap();
    assert_eq!(manager.result(5).await["status"], "Updated");
    assert!(
        !manager.output().contains("broke a rule"),
        "{}",
        manager.output()
    );
}

#[tokio::test]
async fn many_clients_at_once_are_served_through_the_border() {
    let library = Library::builtins().unwrap();
    let manager = Manager::start(&settings(&library)).await.unwrap();
    enroll(&manager);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let socket = manager.home.upgrade_socket();
        clients.spawn(async move {
            let request = json!({
                "origin": {"module": "api"}, "command": "upgrade_result",
                "parameters": {"agents": [1, 2, 3]},
            });
            let asked = wpk_testkit::ask(socket, request.to_string());
            tokio::time::timeout(Duration::from_secs(60), asked)
                .await
                .ok()
                .flatten()
        });
    }
    let answers = clients.join_all().await;
    assert!(answers.iter().all(Option::is_some));
}
