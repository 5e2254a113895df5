//! Hostile plugins. In each case the daemon answers other requests meanwhile,
//! delivers what others provide, and says in its log what was wrong.

use serde_json::json;
use wpk_testkit::Manager;
use wpk_testkit::library::Library;
use wpk_testkit::manager::PATIENCE;

use crate::common::{end, enroll, hostile, plugin, repository, sha1};

/// A daemon with a plugin's provider in front of `local-file`.
async fn manager(library: &Library, provider: &str) -> Manager {
    let settings = format!(
        "{}[[provider]]\n{provider}\n[[provider]]\ntype = \"local-file\"\n",
        plugin(library)
    );
    let manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager
}

/// Asks for agent 1 through the hostile plugin; while that goes on, agent 2
/// gets a file, and everybody gets answers. Returns how agent 1 ended.
async fn meanwhile(manager: &Manager) -> serde_json::Value {
    let items = manager.upgrade(&[1], json!({})).await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    let file = manager.home.path("tmp/custom.wpk");
    std::fs::write(&file, [7; 50_000]).unwrap();
    let items = manager
        .upgrade_custom(&[2], json!({"file_path": file}))
        .await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    assert_eq!(end(manager, 2).await["status"], "Updated");
    for _ in 0..20 {
        assert!(manager.ask("{}").await.is_some());
        assert!(manager.ask_tasks("{}").await.is_some());
    }
    end(manager, 1).await
}

async fn logged(manager: &mut Manager, text: &str) {
    let line = manager
        .daemon()
        .unwrap()
        .wait_for_line(text, PATIENCE)
        .await;
    assert!(line.is_some(), "{text:?} is not in\n{}", manager.output());
}

#[tokio::test]
async fn a_provider_that_breaks_a_rule_harms_its_own_tasks_only() {
    let cases = [
        ("good", "Updated", "hostile.wpk"),
        ("garbage", "Error", "its answer to `resolve` makes no sense"),
        ("twice", "Updated", "which is completed already"),
        ("unknown_token", "Updated", "which was never given"),
        (
            "never",
            "Error",
            "`resolve` was not completed within its deadline",
        ),
        ("after_cancel", "Updated", "an operation takes too long"),
        ("late", "Error", "was completed too late, which is ignored"),
        (
            "block",
            "Error",
            "`resolve` was not completed within its deadline",
        ),
        (
            "block_in_serves",
            "Error",
            "`serves` was not completed within its deadline",
        ),
        ("null_with_length", "Error", "1000 bytes at a null pointer"),
        ("huge_length", "Error", "bytes where at most"),
        ("too_much", "Error", "1048577 bytes where at most 1048576"),
    ];
    for (mode, status, said) in cases {
        let mut manager = manager(&hostile(mode), "type = \"hostile\"").await;
        let item = meanwhile(&manager).await;
        assert_eq!(
            item["status"],
            status,
            "{mode}: {item}\n{}",
            manager.output()
        );
        logged(&mut manager, said).await;
        // The daemon ends in order, whatever hangs inside it.
        let ended = manager.stop().await.unwrap();
        assert!(ended.success(), "{mode}: {ended}");
    }
}

#[tokio::test]
async fn a_plugin_that_panics_goes_on() {
    let library = Library::of_package("wpk-hostile").unwrap();
    let sha1 = sha1();
    for (mode, said) in [
        ("panic_in_resolve", "made to panic in resolve"),
        ("panic_in_stream", "made to panic in the stream"),
    ] {
        let provider =
            format!("type = \"odd\"\nmode = \"{mode}\"\nsha1 = \"{sha1}\"\nsize = 2500000");
        let mut manager = manager(&library, &provider).await;
        let item = meanwhile(&manager).await;
        assert_eq!(item["status"], "Error", "{mode}: {item}");
        logged(&mut manager, said).await;
        let quarantined = manager.output().contains("quarantined");
        assert!(!quarantined, "a panic is an error, no broken rule");
    }
}

#[tokio::test]
async fn a_plugin_that_blocks_its_own_runtime_is_quarantined() {
    let library = Library::of_package("wpk-hostile").unwrap();
    let provider = "type = \"odd\"\nmode = \"block_runtime\"";
    let mut manager = manager(&library, provider).await;
    for agent in [1, 3] {
        // The first question may be answered before the threads are gone.
        let items = manager.upgrade(&[agent], json!({})).await;
        assert_eq!(items[0]["error"], 0, "{items:?}");
        assert_eq!(end(&manager, agent).await["status"], "Error");
    }
    assert_eq!(meanwhile_custom(&manager).await, "Updated");
    logged(&mut manager, "the plugin is quarantined").await;
}

async fn meanwhile_custom(manager: &Manager) -> serde_json::Value {
    let file = manager.home.path("tmp/custom.wpk");
    std::fs::write(&file, [7; 50_000]).unwrap();
    let parameters = json!({"file_path": file});
    manager.upgrade_custom(&[2], parameters).await;
    end(manager, 2).await["status"].clone()
}

#[tokio::test]
async fn a_plugin_that_shouts_does_not_fill_the_log() {
    let library = Library::of_package("wpk-hostile").unwrap();
    let sha1 = sha1();
    let provider = format!("type = \"odd\"\nmode = \"shout\"\nsha1 = \"{sha1}\"\nsize = 2500000");
    let manager = manager(&library, &provider).await;
    assert_eq!(meanwhile(&manager).await["status"], "Updated");
    let output = manager.output();
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.contains("shouting"))
        .collect();
    assert!(!lines.is_empty() && lines.len() < 20_000, "{}", lines.len());
    assert!(
        lines
            .iter()
            .all(|line| line.contains("wpk-hostile") && line.contains("in two lines"))
    );
}

#[tokio::test]
async fn the_next_provider_takes_over_from_one_in_quarantine() {
    let (_repository, parameters) = repository().await;
    let library = hostile("never");
    let settings = format!(
        "{}[[provider]]\ntype = \"hostile\"\n[[provider]]\ntype = \"repository\"\n",
        plugin(&library)
    );
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    for agent in [1, 2] {
        let items = manager.upgrade(&[agent], parameters.clone()).await;
        assert_eq!(items[0]["error"], 0, "{items:?}");
        assert_eq!(
            end(&manager, agent).await["status"],
            "Updated",
            "agent {agent}"
        );
    }
    logged(&mut manager, "the next is asked").await;
}

#[tokio::test]
async fn the_daemon_ends_while_a_plugin_will_not() {
    let library = hostile("block");
    let settings = format!(
        "[[plugin]]\npath = {:?}\ndeadline = \"10m\"\n[[provider]]\ntype = \"hostile\"\n",
        library.path()
    );
    let mut manager = Manager::start(&settings).await.unwrap();
    enroll(&manager);
    manager.upgrade(&[1], json!({})).await;
    let began = manager.wait_for_status(1, &["Updating"]).await;
    assert!(began.is_some(), "{}", manager.output());
    assert!(manager.stop().await.unwrap().success());
    // Nothing was sent, so nothing is lost: the next start begins anew.
    manager.boot().await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updating");
}
