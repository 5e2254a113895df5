//! How fast the store is, and how much slower with history: `cargo bench -p
//! wpk-plugin-sqlite`. The file lies in the folder for temporary files; set `TMPDIR` to
//! measure another disk. See [`wpk_testkit::store_bench`] for what is measured, and for the
//! variables that say how much and how often.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_bench::{AGENTS_OF_OLD, ENDED, Site, compare, rows};

/// Rows that ended before: a file with history.
fn fill(file: &Path, old: u32) {
    drop(SqliteStore::open(file).unwrap());
    let (agents, ended) = (AGENTS_OF_OLD, ENDED);
    let rows =
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {old})");
    Connection::open(file)
        .unwrap()
        .execute_batch(&format!(
            "BEGIN;
             {rows} INSERT INTO TASKS (TASK_ID, AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, \
                 LAST_UPDATE_TIME, STATUS) SELECT i, i % {agents}, 'node01', 'upgrade_module', \
                 'upgrade', {ended}, {ended}, 'Done' FROM n;
             {rows} INSERT INTO WPKD_ORDERS (TASK_ID, OURS, CLAIMED, INSTALLER_BEGUN, TARGET, \
                 CONFIRMATION) SELECT i, 1, {ended}, {ended}, 'v4.14.0', '\"confirmed\"' FROM n;
             {rows} INSERT INTO WPKD_TIMELINE (TASK_ID, ENTRY) \
                 SELECT i, '{{\"at\":1700000000,\"step\":\"created\"}}' FROM n;
             {rows} INSERT INTO WPKD_CHANGES (TASK_ID, STATUS, LAST_UPDATE_TIME) \
                 SELECT i, 'Done', {ended} FROM n;
             COMMIT;"
        ))
        .unwrap();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = |rows: u32| {
        let file = folder.path().join(format!("{rows}.db"));
        fill(&file, rows);
        let begun = Instant::now();
        let store = Arc::new(SqliteStore::open(&file).unwrap());
        println!("{rows} rows: opened in {:.0?}", begun.elapsed());
        Site::new(rows, store)
    };
    let sites: Vec<Site> = rows().into_iter().map(site).collect();
    runtime.block_on(compare(&sites));
}
