//! How fast the store is, and how much slower with history: `cargo bench -p
//! wpk-plugin-sqlite`. The file lies in the folder for temporary files; set `TMPDIR` to
//! measure another disk. `WPK_BENCH_ROWS` names how many ended tasks are there before,
//! `1000,100000,1000000` by default, and `WPK_BENCH_ROUNDS` (5) how often everything is done:
//! in each round on one file after the other, so that what else the machine does hits all of
//! them. Printed are microseconds for one task, the median of the rounds, and how many times
//! the first file's the last one's are. On a machine that others use as well
//! `WPK_BENCH_CLOCK=cpu` counts the time that this process was computing, on all its threads.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::task::JoinSet;
use wpk_api::{
    AgentId, Cancel, Created, Mover, Revision, Selector, Status, TaskId, TaskStore, TimelineEntry,
    TimelineStep, Transition,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, TARGET, agent, to, upgrade};

/// Tasks of one call.
const CALL: u32 = 50_000;
/// Agents that are asked about, and agents that have a history.
const AGENTS: u32 = 10_000;

/// When something began.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    computed: Duration,
}

impl Begun {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            computed: computed(),
        }
    }

    fn elapsed(self) -> Duration {
        match std::env::var("WPK_BENCH_CLOCK").as_deref() {
            Ok("cpu") => computed() - self.computed,
            _ => self.at.elapsed(),
        }
    }
}

/// How long the threads of this process were computing.
fn computed() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |thread: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
        let told = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(of).sum())
}

/// What was measured: of each operation the microseconds for one task, for each file.
#[derive(Default)]
struct Table {
    lines: Vec<(&'static str, Vec<Vec<f64>>)>,
}

impl Table {
    fn add(&mut self, what: &'static str, site: usize, tasks: u32, begun: Begun) {
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(tasks);
        if !self.lines.iter().any(|(name, _)| *name == what) {
            self.lines.push((what, Vec::new()));
        }
        let (_, sites) = self.lines.iter_mut().find(|(n, _)| *n == what).unwrap();
        sites.resize_with(sites.len().max(site + 1), Vec::new);
        sites[site].push(each);
    }

    fn print(&self, rows: &[u32]) {
        print!("{:<44}", "rows that ended before");
        rows.iter().for_each(|rows| print!(" {rows:>10}"));
        println!("   times");
        for (what, sites) in &self.lines {
            let median = |each: &Vec<f64>| {
                let mut each = each.clone();
                each.sort_by(f64::total_cmp);
                each[each.len() / 2]
            };
            let medians: Vec<f64> = sites.iter().map(median).collect();
            print!("{what:<44}");
            medians.iter().for_each(|each| print!(" {each:>10.2}"));
            println!(" {:>7.2}", medians.last().unwrap() / medians[0]);
        }
    }
}

struct Site {
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

/// Rows that ended before: a file with history.
fn fill(file: &Path, old: u32) {
    drop(SqliteStore::open(file).unwrap());
    let (agents, ended) = (2 * AGENTS, START + 1);
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

/// Asks for one agent at a time, from several callers at once.
async fn singles(store: &Arc<SqliteStore>, callers: u32, each: u32) {
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
}

fn ids(created: &[Created]) -> Vec<TaskId> {
    let id = |one: &Created| match one {
        Created::Task(id) => *id,
        other => panic!("{other:?}"),
    };
    created.iter().map(id).collect()
}

fn ended(ids: &[TaskId]) -> Vec<Transition> {
    let ended = |id: &TaskId| to(*id, Status::Failed, "node01", START);
    ids.iter().map(ended).collect()
}

async fn make_and_ask(table: &mut Table, at: usize, store: &Arc<SqliteStore>) -> Vec<TaskId> {
    let new = (0..CALL).map(|n| upgrade(n, "node01", START)).collect();
    let begun = Begun::now();
    let created = store.create(new).await.unwrap();
    table.add("create, 50,000 in one call", at, CALL, begun);
    // The writer puts the log back into the file after it answered; that is not theirs.
    store.renew().await.unwrap();
    let agents: Vec<AgentId> = (0..AGENTS).map(agent).collect();
    for _ in 0..3 {
        let begun = Begun::now();
        store.latest(&agents).await.unwrap();
        table.add("latest, 10,000 agents in one call", at, AGENTS, begun);
    }
    let begun = Begun::now();
    singles(store, 1, 10_000).await;
    table.add("latest, one agent, one caller", at, 10_000, begun);
    let begun = Begun::now();
    singles(store, 64, 300).await;
    table.add("latest, one agent, 64 callers", at, 64 * 300, begun);
    ids(&created)
}

async fn carry_out(table: &mut Table, at: usize, store: &Arc<SqliteStore>, tasks: &[TaskId]) {
    let begun = Begun::now();
    for _ in 0..100 {
        store.claim("node01", 64, START).await.unwrap();
    }
    table.add("claim, 64 at a time", at, 6_400, begun);
    let begun = Begun::now();
    store.claim("node01", usize::MAX, START).await.unwrap();
    table.add("claim, the rest in one call", at, CALL - 6_400, begun);
    let begun = Begun::now();
    store.in_progress(TaskId(0), 1_000).await.unwrap();
    table.add("in_progress, a page of 1,000", at, 1_000, begun);
    let begun = Begun::now();
    store.interrupted("node01", false).await.unwrap();
    table.add("interrupted, all of them", at, CALL, begun);
    let begun = Begun::now();
    store.touch(&tasks[..10_000], START + 1).await.unwrap();
    table.add("touch, 10,000 in one call", at, 10_000, begun);
    let wait = TimelineEntry::new(START, TimelineStep::Wait);
    let entries = (tasks[..10_000].iter()).map(|id| (*id, wait.clone()));
    let begun = Begun::now();
    store.note(entries.collect()).await.unwrap();
    table.add("note, 10,000 in one call", at, 10_000, begun);
    let begun = Begun::now();
    for id in &tasks[..1_000] {
        store.timeline(*id).await.unwrap();
    }
    table.add("timeline, one after the other", at, 1_000, begun);
    let begun = Begun::now();
    for id in &tasks[..200] {
        let target = Some(TARGET);
        assert!(store.begin_installer(*id, target, START).await.unwrap());
    }
    table.add("begin_installer, one after the other", at, 200, begun);
    let word = |n| Transition {
        select: Selector::SpokenOf(agent(n)),
        by: Mover::Report,
        ..to(TaskId(0), Status::Done, "node01", START)
    };
    let begun = Begun::now();
    for n in 0..200 {
        store.transition(vec![word(n)]).await.unwrap();
    }
    table.add("transition, a word, one after the other", at, 200, begun);
    let begun = Begun::now();
    store.awaiting("node01", TaskId(0), 200).await.unwrap();
    table.add("awaiting, 200 of them", at, 200, begun);
    let begun = Begun::now();
    store.transition(ended(&tasks[200..])).await.unwrap();
    table.add("transition, the rest in one call", at, CALL - 200, begun);
    let newest = store.revision().await.unwrap();
    let begun = Begun::now();
    let after = Revision(newest.0 - 1_000);
    store.changes(after, 1_000).await.unwrap();
    table.add("changes, the newest 1,000", at, 1_000, begun);
}

async fn one_by_one(table: &mut Table, at: usize, store: &Arc<SqliteStore>) {
    let begun = Begun::now();
    for n in CALL..CALL + 200 {
        let new = vec![upgrade(n, "node01", START)];
        store.create(new).await.unwrap();
    }
    table.add("create, one after the other", at, 200, begun);
    let begun = Begun::now();
    let mut creating = JoinSet::new();
    for n in 0..AGENTS {
        let store = Arc::clone(store);
        creating.spawn(async move {
            let new = vec![upgrade(n, "node01", START)];
            store.create(new).await.unwrap();
        });
    }
    creating.join_all().await;
    table.add("create, a call each, all at once", at, AGENTS, begun);
    let begun = Begun::now();
    let cancelled = store.cancel("node01", Cancel::Pending, START);
    let cancelled = cancelled.await.unwrap();
    table.add("cancel", at, u32::try_from(cancelled).unwrap(), begun);
    let begun = Begun::now();
    let purged = store.purge(START).await.unwrap();
    table.add("purge", at, u32::try_from(purged).unwrap(), begun);
}

fn numbers(name: &str, otherwise: &str) -> Vec<u32> {
    let numbers = std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let number = |one: &str| one.trim().parse().unwrap();
    numbers.split(',').map(number).collect()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let rows = numbers("WPK_BENCH_ROWS", "1000,100000,1000000");
    let rounds = numbers("WPK_BENCH_ROUNDS", "5")[0];
    let mut table = Table::default();
    let mut sites = Vec::new();
    for rows in &rows {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        fill(&file, *rows);
        let begun = Begun::now();
        let store = Arc::new(SqliteStore::open(&file).unwrap());
        table.add("open, a row", sites.len(), *rows, begun);
        sites.push(Site {
            store,
            _folder: folder,
        });
    }
    runtime.block_on(async {
        for _ in 0..rounds {
            for (at, site) in sites.iter().enumerate() {
                let tasks = make_and_ask(&mut table, at, &site.store).await;
                carry_out(&mut table, at, &site.store, &tasks).await;
                one_by_one(&mut table, at, &site.store).await;
            }
        }
    });
    table.print(&rows);
}
