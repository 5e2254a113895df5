//! The real daemon loads each example from its configuration file and upgrades
//! agents with it.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, binary};

use crate::examples::{self, publish};

/// Larger than some pieces of a stream.
fn wpk() -> Vec<u8> {
    (0..3_000_000u32).map(|n| (n % 251) as u8).collect()
}

/// The settings that load a library and put its provider first.
pub(crate) fn with_provider(library: &Path, kind: &str) -> String {
    format!(
        "[[plugin]]\npath = {library:?}\n[[provider]]\ntype = {kind:?}\nfolder = \"mirror\"\n\
         [[provider]]\ntype = \"local-file\"\n"
    )
}

/// A daemon with that provider upgrades two agents, one to the latest release
/// and one to a certain one, and tells a third what is missing.
pub(crate) async fn upgrades_agents(library: &Path, kind: &str) {
    let mut manager = Manager::prepare(&with_provider(library, kind))
        .await
        .unwrap();
    let folder = manager.home.path("mirror");
    publish(&folder, "v4.14.7", b"an older one");
    publish(&folder, "v4.14.8", &wpk());
    manager.boot().await.unwrap();
    manager
        .wdb
        .set_agents((1..=3).map(|id| agent_row(id, "Wazuh v4.7.0")));

    let items = manager.upgrade(&[1], json!({})).await;
    assert_eq!(items[0]["error"], 0, "{items:?}");
    manager.upgrade(&[2], json!({"version": "v4.14.7"})).await;
    for agent in [1, 2] {
        let item = manager
            .wait_for_status(agent, &["Updated", "Error"])
            .await
            .unwrap();
        assert_eq!(item["status"], "Updated", "{item}\n{}", manager.output());
    }
    assert!(manager.remoted.received(1).unwrap() == wpk());
    assert_eq!(&manager.remoted.received(2).unwrap()[..], b"an older one");

    manager.upgrade(&[3], json!({"version": "v4.14.6"})).await;
    let item = manager
        .wait_for_status(3, &["Error", "Updated"])
        .await
        .unwrap();
    assert_eq!(item["status"], "Error", "{item}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_in_rust_upgrades_agents() {
    upgrades_agents(examples::provider_rust(), "mirror").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_in_c_upgrades_agents() {
    upgrades_agents(examples::provider_c(), "folder").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_rust_keeps_tasks_over_a_kill() {
    let library = examples::store_rust();
    let settings = format!("[[plugin]]\npath = {library:?}\n[store]\ntype = \"journal\"\n");
    let mut manager = Manager::prepare(&settings).await.unwrap();
    manager.boot().await.unwrap();
    manager
        .wdb
        .set_agents((1..=2).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let file = manager.home.path("agent.wpk");
    std::fs::write(&file, wpk()).unwrap();
    let parameters = json!({"file_path": file});
    manager.upgrade_custom(&[1], parameters.clone()).await;
    manager.wait_for_status(1, &["Updated"]).await.unwrap();

    // The second one is killed while it is under way, and goes on afterwards.
    manager
        .remoted
        .set_latency(std::time::Duration::from_millis(50));
    manager.upgrade_custom(&[2], parameters).await;
    let patience = wpk_testkit::manager::PATIENCE;
    manager
        .remoted
        .wait_for(2, "write", patience)
        .await
        .unwrap();
    manager.kill().await.unwrap();
    manager.remoted.set_latency(std::time::Duration::ZERO);
    manager.boot().await.unwrap();
    assert_eq!(manager.result(1).await["status"], "Updated");
    let item = manager
        .wait_for_status(2, &["Updated", "Error"])
        .await
        .unwrap();
    assert_eq!(item["status"], "Updated", "{item}\n{}", manager.output());
    assert!(manager.remoted.received(2).unwrap() == wpk());
    assert!(
        !manager.home.tasks_db().exists(),
        "the built-in store was used"
    );
    let journal = std::fs::read_to_string(manager.home.path("queue/tasks/tasks.journal")).unwrap();
    assert!(journal.starts_with("{\"format\":\"wpkd-journal\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_mistakes_in_a_plugins_section() {
    for (library, kind) in [
        (examples::provider_rust(), "mirror"),
        (examples::provider_c(), "folder"),
    ] {
        let manager = Manager::prepare(&with_provider(library, kind))
            .await
            .unwrap();
        let check = || {
            let mut command = Command::new(binary("wpkd").unwrap());
            command.arg("check").arg("--config").arg(manager.config());
            let output = command.output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        };
        let (good, said) = check();
        assert!(good, "{said}");
        let text = std::fs::read_to_string(manager.config()).unwrap();
        let text = text.replace("folder = \"mirror\"", "folder = 5\ncolour = \"red\"");
        std::fs::write(manager.config(), text).unwrap();
        let (good, said) = check();
        assert!(!good, "{said}");
        for key in ["folder", "colour"] {
            let key = format!("[[provider]] number 1: {key}: ");
            assert!(said.contains(&key), "{key} is not in:\n{said}");
        }
    }
}
