//! How fast a store is, and how much slower with history: what benches of stores call.
//!
//! Everything is done on one store after the other, so that what else the machine does hits
//! all of them, and in as many rounds as are wanted. Printed are microseconds for one task,
//! the median of the rounds, and how many times the first store's the last one's are.
//!
//! ```no_run
//! # async fn example(a_store_with: impl Fn(u32) -> std::sync::Arc<dyn wpk_api::TaskStore>) {
//! use wpk_testkit::store_bench::{Site, compare, rows};
//!
//! let sites = rows().into_iter().map(|rows| Site::new(rows, a_store_with(rows)));
//! compare(&sites.collect::<Vec<_>>()).await;
//! # }
//! ```
//!
//! - `WPK_BENCH_ROWS`: how many ended tasks are there before, `1000,100000,1000000` by
//!   default ([`crate::store_history`]);
//! - `WPK_BENCH_ROUNDS`: 5 by default;
//! - `WPK_BENCH_CLOCK=cpu` counts the time that was computed, for a machine that others use
//!   as well.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wpk_api::{
    AgentId, Cancel, Created, Mover, Revision, Selector, Status, TaskId, TaskStore, TimelineEntry,
    TimelineStep, Transition, UnixTime,
};

use crate::store_suite::{START, TARGET, agent, ok, to, upgrade};

/// Tasks of one call.
const CALL: u32 = 50_000;
/// Tasks of a shorter one, and those that [`CALLERS`] make.
const SHORT_CALL: u32 = 10_000;
/// Agents that are asked about.
const ASKED: u32 = 10_000;
/// Callers at the same moment, each of which makes one task after the other.
const CALLERS: u32 = 1_000;
/// Calls one after the other.
const SINGLE: u32 = 200;
/// Before then is what was made here.
const PURGED: UnixTime = START + 2_000_000_000;

/// A store with history.
pub struct Site {
    rows: u32,
    store: Arc<dyn TaskStore>,
    settle: Box<dyn Fn()>,
    computed: Box<dyn Fn() -> Duration>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("rows", &self.rows).finish()
    }
}

impl Site {
    /// A store in which so many tasks have ended.
    pub fn new(rows: u32, store: Arc<dyn TaskStore>) -> Self {
        Self {
            rows,
            store,
            settle: Box::new(|| ()),
            computed: Box::new(computed),
        }
    }

    /// What is to happen before each round, as it does by itself in months.
    #[must_use]
    pub fn settled_by(mut self, settle: impl Fn() + 'static) -> Self {
        self.settle = Box::new(settle);
        self
    }

    /// How long others have computed for it, besides this process.
    #[must_use]
    pub fn served_by(mut self, others: impl Fn() -> Duration + 'static) -> Self {
        self.computed = Box::new(move || computed() + others());
        self
    }
}

/// How many ended tasks are wanted (`WPK_BENCH_ROWS`).
pub fn rows() -> Vec<u32> {
    numbers("WPK_BENCH_ROWS", "1000,100000,1000000")
}

/// Measures, and prints a table.
pub async fn compare(sites: &[Site]) {
    let rounds = numbers("WPK_BENCH_ROUNDS", "5");
    let mut table = Table::default();
    for _ in 0..rounds.first().copied().unwrap_or(1) {
        for (at, site) in sites.iter().enumerate() {
            (site.settle)();
            let mut round = Round {
                table: &mut table,
                at,
                site,
            };
            let tasks = round.make_and_ask().await;
            round.carry_out(&tasks).await;
            round.one_by_one().await;
        }
    }
    let rows: Vec<u32> = sites.iter().map(|site| site.rows).collect();
    table.print(&rows);
}

fn numbers(name: &str, otherwise: &str) -> Vec<u32> {
    let numbers = std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let number = |one: &str| match one.trim().parse() {
        Ok(number) => number,
        Err(error) => panic!("{name}: {one:?}: {error}"),
    };
    numbers.split(',').map(number).collect()
}

/// How long the threads of this process were computing.
fn computed() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task");
    let of = |thread: std::fs::DirEntry| computed_by(&thread.path());
    threads.into_iter().flatten().flatten().filter_map(of).sum()
}

/// How long a process or thread was computing, by its folder in `/proc`; `None`: it is gone.
pub(crate) fn computed_by(folder: &std::path::Path) -> Option<Duration> {
    let told = std::fs::read_to_string(folder.join("schedstat")).ok()?;
    let nanoseconds = told.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// What was measured: of each operation the microseconds for one task, for each site.
#[derive(Default)]
struct Table {
    lines: Vec<(&'static str, Vec<Vec<f64>>)>,
}

impl Table {
    fn add(&mut self, what: &'static str, site: usize, tasks: u32, took: Duration) {
        let each = took.as_secs_f64() * 1e6 / f64::from(tasks.max(1));
        let place = self.lines.iter().position(|(name, _)| *name == what);
        let place = place.unwrap_or_else(|| {
            self.lines.push((what, Vec::new()));
            self.lines.len() - 1
        });
        let Some((_, sites)) = self.lines.get_mut(place) else {
            return;
        };
        sites.resize_with(sites.len().max(site + 1), Vec::new);
        if let Some(rounds) = sites.get_mut(site) {
            rounds.push(each);
        }
    }

    fn print(&self, rows: &[u32]) {
        print!("{:<44}", "rows that ended before");
        rows.iter().for_each(|rows| print!(" {rows:>10}"));
        println!("   times");
        for (what, sites) in &self.lines {
            let medians: Vec<f64> = sites.iter().map(|rounds| median(rounds)).collect();
            print!("{what:<44}");
            medians.iter().for_each(|each| print!(" {each:>10.2}"));
            match (medians.first(), medians.last()) {
                (Some(first), Some(last)) => println!(" {:>7.2}", last / first),
                _ => println!(),
            }
        }
    }
}

fn median(rounds: &[f64]) -> f64 {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}

/// When something began.
struct Begun {
    at: Instant,
    computed: Duration,
}

/// All operations once, on one site.
struct Round<'a> {
    table: &'a mut Table,
    at: usize,
    site: &'a Site,
}

impl Round<'_> {
    fn begin(&self) -> Begun {
        Begun {
            at: Instant::now(),
            computed: (self.site.computed)(),
        }
    }

    fn end(&mut self, what: &'static str, tasks: u32, begun: Begun) {
        let took = match std::env::var("WPK_BENCH_CLOCK").as_deref() {
            Ok("cpu") => (self.site.computed)().saturating_sub(begun.computed),
            _ => begun.at.elapsed(),
        };
        self.table.add(what, self.at, tasks, took);
    }

    async fn make_and_ask(&mut self) -> Vec<TaskId> {
        let store = &self.site.store;
        let new = (0..CALL).map(|n| upgrade(n, "node01", START)).collect();
        let begun = self.begin();
        let created = ok(store.create(new).await);
        self.end("create, 50,000 in one call", CALL, begun);
        // A store in a file puts its log back into it after it answered; that is not theirs.
        ok(store.renew().await);
        let agents: Vec<AgentId> = (0..ASKED).map(agent).collect();
        for _ in 0..3 {
            let begun = self.begin();
            ok(store.latest(&agents).await);
            self.end("latest, 10,000 agents in one call", ASKED, begun);
        }
        let begun = self.begin();
        singles(store, 1, ASKED).await;
        self.end("latest, one agent, one caller", ASKED, begun);
        let begun = self.begin();
        singles(store, 64, 300).await;
        self.end("latest, one agent, 64 callers", 64 * 300, begun);
        ids(&created)
    }

    async fn carry_out(&mut self, tasks: &[TaskId]) {
        let store = &self.site.store;
        let (short, single) = (SHORT_CALL as usize, SINGLE as usize);
        let begun = self.begin();
        for _ in 0..100 {
            ok(store.claim("node01", 64, START).await);
        }
        self.end("claim, 64 at a time", 6_400, begun);
        let begun = self.begin();
        ok(store.claim("node01", usize::MAX, START).await);
        self.end("claim, the rest in one call", CALL - 6_400, begun);
        let begun = self.begin();
        ok(store.in_progress(TaskId(0), 1_000).await);
        self.end("in_progress, a page of 1,000", 1_000, begun);
        let begun = self.begin();
        ok(store.interrupted("node01", false).await);
        self.end("interrupted, all of them", CALL, begun);
        let begun = self.begin();
        ok(store.touch(&tasks[..short], START + 1).await);
        self.end("touch, 10,000 in one call", SHORT_CALL, begun);
        let wait = TimelineEntry::new(START, TimelineStep::Wait);
        let entries = tasks[..short].iter().map(|id| (*id, wait.clone()));
        let begun = self.begin();
        ok(store.note(entries.collect()).await);
        self.end("note, 10,000 in one call", SHORT_CALL, begun);
        let begun = self.begin();
        for id in &tasks[..1_000] {
            ok(store.timeline(*id).await);
        }
        self.end("timeline, one after the other", 1_000, begun);
        let begun = self.begin();
        for id in &tasks[..single] {
            let begins = store.begin_installer(*id, Some(TARGET), START);
            assert!(ok(begins.await));
        }
        self.end("begin_installer, one after the other", SINGLE, begun);
        let begun = self.begin();
        for n in 0..SINGLE {
            ok(store.transition(vec![word(n)]).await);
        }
        self.end("transition, a word, one after the other", SINGLE, begun);
        let begun = self.begin();
        ok(store.awaiting("node01", TaskId(0), single).await);
        self.end("awaiting, 200 of them", SINGLE, begun);
        let ended = |id: &TaskId| to(*id, Status::Failed, "node01", START);
        let ended = tasks[single..].iter().map(ended).collect();
        let begun = self.begin();
        ok(store.transition(ended).await);
        self.end("transition, the rest in one call", CALL - SINGLE, begun);
        let newest = ok(store.revision().await);
        let after = Revision(newest.0.saturating_sub(1_000));
        let begun = self.begin();
        ok(store.changes(after, 1_000).await);
        self.end("changes, the newest 1,000", 1_000, begun);
    }

    async fn one_by_one(&mut self) {
        let store = &self.site.store;
        let begun = self.begin();
        for n in CALL..CALL + SINGLE {
            let new = vec![upgrade(n, "node01", START)];
            ok(store.create(new).await);
        }
        self.end("create, one after the other", SINGLE, begun);
        let begun = self.begin();
        let mut creating = JoinSet::new();
        for caller in 0..CALLERS {
            let store = Arc::clone(store);
            creating.spawn(async move {
                for n in (caller..SHORT_CALL).step_by(CALLERS as usize) {
                    let new = vec![upgrade(n, "node01", START)];
                    ok(store.create(new).await);
                }
            });
        }
        creating.join_all().await;
        self.end("create, 1,000 callers", SHORT_CALL, begun);
        let begun = self.begin();
        let cancelled = store.cancel("node01", Cancel::Pending, START);
        let cancelled = u32::try_from(ok(cancelled.await)).unwrap_or(u32::MAX);
        self.end("cancel", cancelled, begun);
        let begun = self.begin();
        let purged = ok(store.purge(PURGED).await);
        let purged = u32::try_from(purged).unwrap_or(u32::MAX);
        self.end("purge", purged, begun);
    }
}

/// What an agent says whose installer ended well.
fn word(n: u32) -> Transition {
    Transition {
        select: Selector::SpokenOf(agent(n)),
        by: Mover::Report,
        ..to(TaskId(0), Status::Done, "node01", START)
    }
}

/// Asks for one agent at a time, from several callers at once.
async fn singles(store: &Arc<dyn TaskStore>, callers: u32, each: u32) {
    let mut asking = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        asking.spawn(async move {
            for n in 0..each {
                let id = agent((n * 7 + caller) % ASKED);
                let found = ok(store.latest(&[id]).await);
                assert!(found.iter().all(Option::is_some));
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
