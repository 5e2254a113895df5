//! What a request takes beside 1,000,000 tasks that ended before: `upgrade` for 1,000 and
//! for 50,000 agents, in turns with a daemon that has no history. The bar: 1.2 times.
//!
//! `cargo bench -p wpk-tests --bench history`. `WPK_BENCH_ROUNDS`: how many turns, 5 by
//! default; medians are compared.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use common::{ask_for, boot, report, store_on};
use wpk_testkit::store_history::{add_to_postgres, add_to_sqlite};
use wpk_testkit::{Manager, PostgresServer};

const OLD: u32 = 1_000_000;
const SMALL: u32 = 1_000;
const TIMES: u32 = 3;
const LARGE: u32 = 50_000;

fn main() {
    let rounds = std::env::var("WPK_BENCH_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    common::head();
    runtime.block_on(async {
        on_sqlite(rounds).await;
        on_postgres(rounds).await;
    });
}

/// Seconds of a request for few agents and of one for many.
type Took = [f64; 2];

/// Boots the daemon, asks it, and stops it. Of the short requests the one in the middle counts:
/// what the first one finds is not in memory yet.
async fn ask(mut manager: Manager) -> Took {
    boot(&mut manager, TIMES * SMALL + LARGE).await;
    let mut small = Vec::new();
    for time in 0..TIMES {
        let first = time * SMALL + 1;
        small.push(ask_for(&manager, first..first + SMALL).await);
    }
    let first = TIMES * SMALL + 1;
    let large = ask_for(&manager, first..first + LARGE).await;
    manager.kill().await.unwrap();
    [median(small), large]
}

fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// One at a time, so that what is asked for before takes little while more is asked for.
const SETTINGS: &str = "[delivery]\nmax_concurrent = 1\n";

async fn on_sqlite(rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let filled = folder.path().join("tasks.db");
    let mut first = Manager::prepare(SETTINGS).await.unwrap();
    boot(&mut first, 0).await;
    first.stop().await.unwrap();
    add_to_sqlite(&first.home.tasks_db(), OLD).unwrap();
    std::fs::rename(first.home.tasks_db(), &filled).unwrap();
    let mut without = Vec::new();
    let mut with = Vec::new();
    for _ in 0..rounds {
        without.push(ask(Manager::prepare(SETTINGS).await.unwrap()).await);
        with.push(ask(manager_with(&filled).await).await);
    }
    compare("sqlite", &without, &with);
}

/// A manager whose tasks are those of a file.
async fn manager_with(tasks: &Path) -> Manager {
    let manager = Manager::prepare(SETTINGS).await.unwrap();
    let file: PathBuf = manager.home.tasks_db();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy(tasks, file).unwrap();
    manager
}

async fn on_postgres(rounds: usize) {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    server.configure("fsync = on");
    server.restart();
    let settings = |schema: &str| format!("{SETTINGS}{}", store_on(&server, schema));
    for schema in ["without", "history"] {
        let mut first = Manager::prepare(&settings(schema)).await.unwrap();
        boot(&mut first, 0).await;
        first.stop().await.unwrap();
    }
    add_to_postgres(&server, "history", OLD);
    let mut without = Vec::new();
    let mut with = Vec::new();
    for _ in 0..rounds {
        for (schema, took) in [("without", &mut without), ("history", &mut with)] {
            // What was made before is gone, as it is after a purge.
            server.sql(&format!(
                "DELETE FROM {schema}.timeline t USING {schema}.tasks k
                     WHERE k.id = t.task AND k.id > {OLD};
                 DELETE FROM {schema}.tasks WHERE id > {OLD};
                 SELECT setval(pg_get_serial_sequence('{schema}.tasks', 'id'), {OLD});"
            ));
            server.sql("VACUUM ANALYZE");
            took.push(ask(Manager::prepare(&settings(schema)).await.unwrap()).await);
        }
    }
    compare("PostgreSQL", &without, &with);
}

fn compare(store: &str, without: &[Took], with: &[Took]) {
    for (at, agents) in ["1,000", "50,000"].into_iter().enumerate() {
        let of = |took: &[Took]| median(took.iter().map(|took| took[at]).collect());
        let (without, with) = (of(without), of(with));
        let what = format!("upgrade, {agents} agents, {store}: times");
        report(&what, 1.2, with / without);
        println!("    {:.1} ms, {:.1} ms", without * 1e3, with * 1e3);
    }
}
