//! How fast the store is beside the one in a file: `cargo bench -p wpk-plugin-postgres`.
//! The server is the one that is installed, with its settings but for the folder, which is
//! one for temporary files (set `TMPDIR` to measure another disk), and with `fsync` on.
//! Measured is what is so for months: its tables are vacuumed and its feed is read as far as
//! leases are renewed for, not what follows a million rows written in a minute.
//! `WPK_BENCH_ROWS` names the sizes of the table, `1000,100000,1000000` by default.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use wpk_api::{AgentId, Created, Entry, Holder, TaskId, TaskStore};
use wpk_plugin_postgres::{PostgresStore, Settings};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, agent, to, upgrade};

/// Tasks made by one call while the table is filled.
const CALL: u32 = 50_000;

fn report(what: &str, operations: u32, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "  {what:<44} {operations:>7} in {:>10.3} ms {:>10.0}/s",
        seconds * 1e3,
        f64::from(operations) / seconds
    );
}

/// Fills it with so many tasks that have ended.
async fn fill(store: &dyn TaskStore, rows: u32) {
    for first in (0..rows).step_by(CALL as usize) {
        let last = rows.min(first + CALL);
        let new = (first..last).map(|n| upgrade(n, "node01", START)).collect();
        let begun = Instant::now();
        let created = store.create(new).await.unwrap();
        if first == 0 {
            report("create, one call", last - first, begun);
        }
        let ids: Vec<TaskId> = (created.iter())
            .map(|one| match one {
                Created::Task(id) => *id,
                other => panic!("{other:?}"),
            })
            .collect();
        let begun = Instant::now();
        let claimed = store.claim("node01", usize::MAX, START).await.unwrap();
        if first == 0 {
            report(
                "claim, one call",
                u32::try_from(claimed.len()).unwrap(),
                begun,
            );
        }
        let begun = Instant::now();
        let ended = ids
            .iter()
            .map(|id| to(*id, wpk_api::Status::Failed, "node01", START));
        store.transition(ended.collect()).await.unwrap();
        if first == 0 {
            report("transition, one call", last - first, begun);
        }
        store.revision().await.unwrap();
    }
}

/// Asks for one agent at a time, from several callers at once.
async fn singles(store: &Arc<dyn TaskStore>, rows: u32, callers: u32, each: u32) {
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        asking.spawn(async move {
            for n in 0..each {
                let id = agent((n * 7_919 + caller) % rows);
                assert!(store.latest(&[id]).await.unwrap()[0].is_some());
            }
        });
    }
    asking.join_all().await;
    let what = format!("latest, one agent, {callers} callers");
    report(&what, callers * each, begun);
}

async fn measure(store: Arc<dyn TaskStore>, rows: u32, settle: impl Fn()) {
    let entry = Entry {
        node: "node01".to_owned(),
        holder: Holder::default(),
        replaces: None,
    };
    store.enter(&entry).await.unwrap();
    fill(&*store, rows).await;
    settle();
    let agents: Vec<AgentId> = (0..rows.min(CALL)).map(agent).collect();
    let begun = Instant::now();
    store.latest(&agents).await.unwrap();
    report("latest, one call", rows.min(CALL), begun);
    singles(&store, rows, 1, 2_000).await;
    singles(&store, rows, 64, 200).await;
    let new = rows;
    let begun = Instant::now();
    for n in 0..200 {
        store
            .create(vec![upgrade(new + n, "node01", START)])
            .await
            .unwrap();
    }
    report("create, one after the other", 200, begun);
    let begun = Instant::now();
    let mut creating = JoinSet::new();
    for n in 0..1_000 {
        let store = Arc::clone(&store);
        creating.spawn(async move {
            let task = upgrade(new + 200 + n, "node01", START);
            while store.create(vec![task.clone()]).await.is_err() {}
        });
    }
    creating.join_all().await;
    report("create, a call each, all at once", 1_000, begun);
    let begun = Instant::now();
    let mut claimed = Vec::new();
    while claimed.len() < 1_200 {
        claimed.extend(store.claim("node01", 64, START).await.unwrap());
    }
    report("claim, 64 at a time", 1_200, begun);
    let begun = Instant::now();
    for one in claimed.iter().take(200) {
        assert!(
            store
                .begin_installer(one.task.id, None, START)
                .await
                .unwrap()
        );
    }
    report("begin_installer", 200, begun);
    let begun = Instant::now();
    for one in claimed.iter().skip(200).take(200) {
        let ended = to(one.task.id, wpk_api::Status::Failed, "node01", START);
        store.transition(vec![ended]).await.unwrap();
    }
    report("transition, one after the other", 200, begun);
    let begun = Instant::now();
    let newest = store.revision().await.unwrap();
    let after = wpk_api::Revision(newest.0 - 1_000);
    store.changes(after, 1_000).await.unwrap();
    report("changes, the newest 1,000", 1_000, begun);
    let begun = Instant::now();
    let purged = store.purge(START + 2_000_000_000).await.unwrap();
    report("purge", u32::try_from(purged).unwrap(), begun);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let sizes = std::env::var("WPK_BENCH_ROWS").unwrap_or("1000,100000,1000000".to_owned());
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    server.configure("fsync = on");
    server.restart();
    runtime.block_on(async {
        for rows in sizes.split(',') {
            let rows: u32 = rows.trim().parse().unwrap();
            println!("sqlite, {rows} rows");
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("tasks.db");
            measure(Arc::new(SqliteStore::open(file).unwrap()), rows, || ()).await;
            println!("postgres, {rows} rows");
            let settings = Settings {
                host: server.socket_folder().display().to_string(),
                port: server.port(),
                user: "postgres".into(),
                database: "postgres".into(),
                schema: format!("rows{rows}"),
                ..Settings::default()
            };
            let store = PostgresStore::open(&settings, |path| path.to_owned()).unwrap();
            let settle = || {
                server.sql("VACUUM ANALYZE");
            };
            measure(Arc::new(store), rows, settle).await;
        }
    });
}
