//! The suite for all stores, on this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wpk_api::TaskStore;
use wpk_plugin_postgres::{PostgresStore, Settings};
use wpk_testkit::{PostgresServer, store_suite};

fn settings(server: &PostgresServer, schema: &str) -> Settings {
    Settings {
        host: server.socket_folder().display().to_string(),
        port: server.port(),
        user: "postgres".into(),
        database: "postgres".into(),
        schema: schema.into(),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_does_what_every_store_must() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let next = AtomicU32::new(0);
    let make = async || {
        let schema = format!("suite{}", next.fetch_add(1, Ordering::Relaxed));
        let store = PostgresStore::open(&settings(&server, &schema), |path| path.to_owned());
        Arc::new(store.unwrap().by_its_callers_clock()) as Arc<dyn TaskStore>
    };
    store_suite::model::run(&make, 48).await;
}
