//! How fast the store is: `cargo bench -p wpk-plugin-sqlite`. The file lies in
//! the folder for temporary files; set `TMPDIR` to measure another disk, and `OLD` to the
//! number of ended tasks that are there before.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::task::JoinSet;
use wpk_api::{AgentId, TaskStore};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, upgrade};

const AGENTS: u32 = 10_000;

fn report(what: &str, operations: u32, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{what:<44} {operations:>7} in {:>9.3} ms {:>10.0}/s",
        seconds * 1e3,
        f64::from(operations) / seconds
    );
}

/// Asks for one agent at a time, from several callers at once.
async fn singles(store: &Arc<SqliteStore>, callers: u32, each: u32) {
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        asking.spawn(async move {
            for n in 0..each {
                let id = agent((n * 7 + caller) % AGENTS);
                assert!(store.latest(&[id]).await.unwrap()[0].is_some());
            }
        });
    }
    asking.join_all().await;
    report(
        &format!("latest, one agent, {callers} callers"),
        callers * each,
        begun,
    );
}

/// Rows that ended before, as many as are asked for in `OLD` (0): a file with history.
fn fill(file: &Path) {
    let old = std::env::var("OLD").ok().and_then(|old| old.parse().ok());
    let old: u32 = old.unwrap_or(0);
    drop(SqliteStore::open(file).unwrap());
    let connection = Connection::open(file).unwrap();
    let filled = connection.execute(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
         INSERT INTO TASKS (AGENT_ID, NODE, MODULE, COMMAND, CREATE_TIME, LAST_UPDATE_TIME, \
         STATUS) SELECT i % ?2, 'node01', 'upgrade_module', 'upgrade', ?3, ?3, 'Done' FROM n \
         WHERE ?1 > 0",
        rusqlite::params![old, 2 * AGENTS, START + 1],
    );
    println!("{} rows that ended", filled.unwrap());
    connection
        .execute(
            "INSERT INTO WPKD_ORDERS (TASK_ID, OURS) SELECT TASK_ID, 1 FROM TASKS",
            [],
        )
        .unwrap();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let file = folder.path().join("tasks.db");
        fill(&file);
        let store = Arc::new(SqliteStore::open(&file).unwrap());
        let new = (0..AGENTS).map(|n| upgrade(n, "node01", START)).collect();
        let begun = Instant::now();
        store.create(new).await.unwrap();
        report("create, one call", AGENTS, begun);

        let agents: Vec<AgentId> = (0..AGENTS).map(agent).collect();
        for _ in 0..3 {
            let begun = Instant::now();
            store.latest(&agents).await.unwrap();
            report("latest, one call", AGENTS, begun);
        }
        singles(&store, 1, 20_000).await;
        singles(&store, 64, 2_000).await;

        let begun = Instant::now();
        let mut creating = JoinSet::new();
        for n in 0..AGENTS {
            let store = Arc::clone(&store);
            creating.spawn(async move {
                let new = vec![upgrade(AGENTS + n, "node01", START)];
                store.create(new).await.unwrap();
            });
        }
        creating.join_all().await;
        report("create, a call each, all at once", AGENTS, begun);

        let begun = Instant::now();
        for n in 0..200 {
            let new = vec![upgrade(2 * AGENTS + n, "node01", START)];
            store.create(new).await.unwrap();
        }
        report("create, one after the other", 200, begun);

        let begun = Instant::now();
        let mut claimed = 0;
        while claimed < AGENTS {
            claimed += store.claim("node01", 64, START).await.unwrap().len() as u32;
        }
        report("claim, 64 at a time", claimed, begun);

        let begun = Instant::now();
        let purged = store.purge(START).await.unwrap();
        report("purge", u32::try_from(purged).unwrap(), begun);
    });
}
