//! A store that hangs stops the intake with an error the caller sees, loses
//! nothing, and works again after a restart.

use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::library::Library;

use crate::common::{end, enroll, plugin, repository};

#[tokio::test]
async fn a_quarantined_store_loses_nothing() {
    let library = Library::builtins().unwrap();
    let (_repository, parameters) = repository().await;
    let settings = plugin(&library) + "[store]\ntype = \"border-hanging-sqlite\"\n";
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(end(&manager, 1).await["status"], "Updated");

    let hang = manager.home.path("hang");
    std::fs::write(&hang, "").unwrap();
    for agent in [2, 3] {
        // The first waits for the deadline, the second for nothing.
        let items = manager.upgrade(&[agent], parameters.clone()).await;
        assert_ne!(items[0]["error"], 0, "{items:?}");
        let seen = items[0]["message"].as_str().unwrap_or_default();
        assert!(!seen.is_empty(), "{items:?}");
    }
    assert!(
        manager.output().contains("`create` was not completed"),
        "{}",
        manager.output()
    );
    // Clients are answered all the same.
    for _ in 0..10 {
        assert!(manager.ask("{}").await.is_some());
        let lost = manager.result(1).await;
        assert!(lost["error"] != 0 && lost["error"].is_number(), "{lost}");
    }
    assert!(manager.stop().await.unwrap().success());

    std::fs::remove_file(&hang).unwrap();
    manager.boot().await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updated");
    let items = manager.upgrade(&[2], parameters).await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    assert_eq!(end(&manager, 2).await["status"], "Updated");
    assert_ne!(
        manager.result(3).await["error"],
        json!(0),
        "it was refused, so there is no task"
    );
}
