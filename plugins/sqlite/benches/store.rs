//! How fast the store is, and how much slower with history: `cargo bench -p
//! wpk-plugin-sqlite`. The file lies in the folder for temporary files; set `TMPDIR` to
//! measure another disk. See [`wpk_testkit::store_bench`] for what is measured, and for the
//! variables that say how much and how often.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_bench::{Site, compare, rows};
use wpk_testkit::store_history::add_to_sqlite;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = |rows: u32| {
        let file = folder.path().join(format!("{rows}.db"));
        drop(SqliteStore::open(&file).unwrap());
        add_to_sqlite(&file, rows).unwrap();
        let begun = Instant::now();
        let store = Arc::new(SqliteStore::open(&file).unwrap());
        println!("{rows} rows: opened in {:.0?}", begun.elapsed());
        Site::new(rows, store)
    };
    let sites: Vec<Site> = rows().into_iter().map(site).collect();
    runtime.block_on(compare(&sites));
}
