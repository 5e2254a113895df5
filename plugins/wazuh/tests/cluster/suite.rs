//! The suite of a worker's store, and what is not a store's in general.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wpk_api::Factory;
use wpk_plugin_wazuh::cluster;
use wpk_testkit::cluster::TaskTable;
use wpk_testkit::cluster_suite::{self, Stand};
use wpk_testkit::{Home, settings_suite};

use crate::factory;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_does_what_the_store_of_a_worker_must() {
    cluster_suite::run(factory()).await;
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    settings_suite::run(&cluster(), &json!({}));
    settings_suite::run(&cluster(), &json!({"socket": "a/b", "timeout": "5s"}));
}

#[tokio::test]
async fn our_own_file_is_for_us_and_the_group() {
    let stand = Stand::new(&factory(), TaskTable::wazuh4());
    stand.create(1).await;
    for file in ["worker.db", "worker.db-wal"] {
        let file = stand.home.path("queue/tasks").join(file);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{}", file.display());
    }
}

#[tokio::test]
async fn a_master_node_has_tasks_of_its_own() {
    let home = Home::new().unwrap();
    let refused = cluster().build(&json!({}), &home.context());
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("node.role"), "{text}");
}
