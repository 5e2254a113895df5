//! The suite for all stores, on this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wpk_api::settings::Span;
use wpk_plugin_postgres::Settings;
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{self, Stand};
use wpk_testkit::suite::now;

use crate::common::{open, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_does_what_every_store_must() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let next = AtomicU32::new(0);
    let make = async || {
        let schema = format!("suite{}", next.fetch_add(1, Ordering::Relaxed));
        open(&settings(&server, &schema))
    };
    store_suite::run(&make).await;
    store_suite::entered::run(&make).await;
}

/// Time passes by what is written down growing older, and by the next second that begins:
/// the server's clock is the machine's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_does_what_every_shared_store_must() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let server = Arc::new(server);
    let next = AtomicU32::new(0);
    let make = async || {
        let schema = format!("shared{}", next.fetch_add(1, Ordering::Relaxed));
        let settings = Settings {
            lease: Span::seconds(60),
            pool: 3,
            ..settings(&server, &schema)
        };
        let server = Arc::clone(&server);
        Stand::new(move || now(open(&settings))).passing(move |time| {
            let (server, seconds) = (Arc::clone(&server), time.as_secs());
            let older = format!(
                "UPDATE {schema}.leases SET renewed = renewed - interval '{seconds} s', \
                 until = until - interval '{seconds} s'; \
                 SELECT pg_sleep_until(date_trunc('second', clock_timestamp()) + interval '1 s')"
            );
            async move {
                let pass = tokio::task::spawn_blocking(move || server.sql(&older));
                pass.await.unwrap();
            }
        })
    };
    store_suite::shared::run(make).await;
}
