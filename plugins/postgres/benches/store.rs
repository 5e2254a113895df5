//! How fast the store is, and how much slower with history: `cargo bench -p
//! wpk-plugin-postgres`. The server is the one that is installed, with its settings but for
//! the folder, which is one for temporary files (set `TMPDIR` to measure another disk), and
//! with `fsync` on. Measured is what is so for months: its tables are vacuumed before each
//! round, as autovacuum does it. See [`wpk_testkit::store_bench`] for what is measured, and
//! for the variables that say how much and how often.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/server/common.rs"]
#[allow(dead_code, unreachable_pub)]
mod common;

use std::rc::Rc;

use common::{enter, open, settings};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_bench::{Site, compare, rows};
use wpk_testkit::store_history::add_to_postgres;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    server.configure("fsync = on");
    server.restart();
    let server = Rc::new(server);
    let site = |rows: u32| {
        let schema = format!("rows{rows}");
        let store = runtime.block_on(async {
            let store = open(&settings(&server, &schema));
            enter(&*store, "node01").await;
            store
        });
        add_to_postgres(&server, &schema, rows);
        let (settling, serving) = (Rc::clone(&server), Rc::clone(&server));
        Site::new(rows, store)
            .settled_by(move || drop(settling.sql("VACUUM ANALYZE")))
            .served_by(move || serving.computed())
    };
    let sites: Vec<Site> = rows().into_iter().map(site).collect();
    runtime.block_on(compare(&sites));
}
