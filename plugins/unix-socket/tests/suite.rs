//! The suite for all request sources, on this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use serde_json::json;
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::{settings_suite, source_suite, stands};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_source_does_what_every_source_must() {
    source_suite::run(async || stands::unix_socket(Arc::new(plugin())).await).await;
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    settings_suite::run(&plugin(), &json!({}));
    settings_suite::run(&plugin(), &json!({"task": "", "max_frame": "1MiB"}));
}
