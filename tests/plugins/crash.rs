//! Plugins that take the daemon with them. It is started again, as a service manager
//! would, and meets the same task again.

use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::library::Library;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;

use crate::common::{end, enroll, hostile, plugin};

/// Asks for agent 1 through the plugin, and starts the daemon again whenever it ends.
async fn a_crash_is_met_twice(library: &Library, provider: &str, name: &str, signal: &str) {
    let settings = format!("{}[[provider]]\n{provider}\n", plugin(library));
    let settings = format!("{settings}[[provider]]\ntype = \"local-file\"\n");
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    // A version that is named is not looked up before there is a task. The answer
    // may be lost with the daemon; the task is not.
    manager.upgrade(&[1], json!({"version": "v4.14.0"})).await;
    for _ in 0..2 {
        let ended = manager.daemon().unwrap().wait(PATIENCE).await;
        let ended = ended.unwrap_or_else(|error| panic!("{error}:\n{}", manager.output()));
        assert!(!ended.success(), "{ended}\n{}", manager.output());
        let said = format!("wpkd crashed: {signal} while the code of plugin {name} was running");
        assert!(manager.output().contains(&said), "{}", manager.output());
        manager.boot().await.unwrap();
    }
    let item = end(&manager, 1).await;
    assert_eq!(item["status"], "Error", "{item}");
    let error_msg = item["error_msg"].as_str().unwrap();
    let file = library.path().display().to_string();
    for word in ["crashed twice during this delivery", signal, name, &file] {
        assert!(error_msg.contains(word), "{word:?} is not in {error_msg:?}");
    }
    let log = manager.output();
    assert!(log.contains("the last run of wpkd crashed"), "{log}");
    // It is up, and does for others what it can.
    let file = manager.home.path("tmp/custom.wpk");
    std::fs::write(&file, [7; 50_000]).unwrap();
    let items = manager
        .upgrade_custom(&[2], json!({"file_path": file}))
        .await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    assert_eq!(end(&manager, 2).await["status"], "Updated");
    assert!(manager.stop().await.unwrap().success());
    let last = manager.home.path(wpk_api::paths::LAST_CRASH_REPORT);
    let report = std::fs::read_to_string(last).unwrap();
    assert!(
        report.starts_with(&format!("signal {signal}\nplugin {name}\n")),
        "{report}"
    );
}

#[tokio::test]
async fn a_plugin_that_aborts_on_a_thread_of_its_own_is_named_and_its_task_ends() {
    let library = Library::of_package("wpk-hostile").unwrap();
    let provider = "type = \"odd\"\nmode = \"abort_in_resolve\"";
    a_crash_is_met_twice(&library, provider, "wpk-hostile", "SIGABRT").await;
}

#[tokio::test]
async fn a_plugin_with_a_wild_pointer_is_named_and_its_task_ends() {
    let library = hostile("crash");
    a_crash_is_met_twice(&library, "type = \"hostile\"", "hostile", "SIGSEGV").await;
}

/// A daemon that is killed has not crashed, however often.
#[tokio::test]
async fn a_daemon_that_is_killed_leaves_no_report() {
    let library = hostile("block");
    let settings = format!(
        "[[plugin]]\npath = {:?}\ndeadline = \"10m\"\n[[provider]]\ntype = \"hostile\"\n",
        library.path()
    );
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1], json!({})).await;
    for _ in 0..3 {
        let began = manager.wait_for_status(1, &["Updating"]).await;
        assert!(began.is_some(), "{}", manager.output());
        manager.kill().await.unwrap();
        manager.boot().await.unwrap();
    }
    // From outside too, by a signal that crashes have.
    let outside = Signal::ABORT;
    manager.daemon().unwrap().signal(outside).unwrap();
    manager.daemon().unwrap().wait(PATIENCE).await.unwrap();
    manager.boot().await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updating");
    assert!(
        !manager.output().contains("crashed"),
        "{}",
        manager.output()
    );
}
