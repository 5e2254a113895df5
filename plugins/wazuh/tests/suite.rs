//! The suites for all transports, directories and observers, on these.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use serde_json::json;
use wpk_plugin_wazuh::{remoted, wazuh_db, wazuh_tasks};
use wpk_testkit::{directory_suite, observer_suite, settings_suite, stands, transport_suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_transport_does_what_every_transport_must() {
    transport_suite::run(async |agents| stands::remoted(Arc::new(remoted()), agents).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_directory_does_what_every_directory_must() {
    directory_suite::run(async |count| stands::wazuh_db(Arc::new(wazuh_db()), count).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_observer_does_what_every_observer_must() {
    observer_suite::run(async || stands::wazuh_tasks(Arc::new(wazuh_tasks())).await).await;
}

#[test]
fn their_settings_are_read_as_all_settings_are() {
    let good = json!({"socket": "a/b", "timeout": "5s"});
    settings_suite::run(&remoted(), &json!({}));
    settings_suite::run(&remoted(), &good);
    settings_suite::run(&wazuh_db(), &json!({}));
    settings_suite::run(&wazuh_db(), &good);
}
