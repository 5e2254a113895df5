//! The suites for all transports, directories and sources of reports, on the agent channel.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use serde_json::json;
use wpk_plugin_channel::ChannelPlugin;
use wpk_testkit::stands::{self, ChannelFactories};
use wpk_testkit::{directory_suite, settings_suite, source_suite, transport_suite};

fn factories() -> ChannelFactories {
    let plugin = ChannelPlugin::new();
    ChannelFactories {
        transport: Arc::new(plugin.transport()),
        directory: Arc::new(plugin.directory()),
        source: Arc::new(plugin.source()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_transport_does_what_every_transport_must() {
    transport_suite::run(async |agents| stands::channel_transport(factories(), agents).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_directory_does_what_every_directory_must() {
    directory_suite::run(async |count| stands::channel_directory(factories(), count).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_source_does_what_every_source_of_reports_must() {
    source_suite::one_way::run(async || stands::channel_source(factories()).await).await;
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    let factories = factories();
    settings_suite::run(&*factories.transport, &json!({}));
    settings_suite::run(&*factories.transport, &json!({"keepalive": "5s"}));
    settings_suite::run(&*factories.directory, &json!({}));
    settings_suite::run(&*factories.source, &json!({}));
}
