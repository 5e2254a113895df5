//! The suite for all providers, on this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use serde_json::json;
use wpk_plugin_repository::plugin;
use wpk_testkit::{provider_suite, settings_suite, stands};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_provider_does_what_every_provider_must() {
    provider_suite::run(async |file| stands::repository(Arc::new(plugin()), file).await).await;
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    let good = json!({"url": "https://wpk.example.org/", "attempts": 3, "timeout": "5s"});
    settings_suite::run(&plugin(), &json!({}));
    settings_suite::run(&plugin(), &good);
}
