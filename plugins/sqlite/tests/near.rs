//! Questions that are asked one after the other without a pause, which one transaction
//! answers as long as nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::task::JoinSet;
use wpk_api::{Created, Status, TaskStore};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, upgrade};

const DEADLINE: Duration = Duration::from_secs(60);

/// Those who ask about agent 1 until they are dropped.
struct Askers {
    stop: Arc<AtomicBool>,
    asking: JoinSet<()>,
}

impl Askers {
    fn of(store: &Arc<SqliteStore>) -> Self {
        let (stop, mut asking) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for _ in 0..3 {
            let (store, stop) = (store.clone(), stop.clone());
            asking.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    store.latest(&[agent(1)]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
        }
        Self { stop, asking }
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.asking.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_written_is_seen_by_whoever_asks_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("tasks.db")).unwrap());
    let askers = Askers::of(&store);
    for number in 1..=300 {
        let created = store.create(vec![upgrade(number, "node01", START)]).await;
        let Created::Task(task) = created.unwrap()[0] else {
            panic!("{number}");
        };
        // More than once: the second time it may be kept.
        for _ in 0..3 {
            let found = store.latest(&[agent(number)]).await.unwrap();
            assert_eq!(found[0].as_ref().unwrap().id, task);
        }
    }
    askers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_is_used_anew_while_questions_are_asked() {
    const EACH: u32 = 500;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = Arc::new(SqliteStore::open(&file).unwrap());
    let askers = Askers::of(&store);
    let log = || std::fs::metadata(folder.path().join("tasks.db-wal")).unwrap();
    let (mut largest, mut agents) = (0, 1..);
    while std::fs::metadata(&file).unwrap().len() < 24 << 20 {
        let tasks = agents.by_ref().take(EACH as usize);
        let tasks = tasks.map(|number| upgrade(number, "node01", START));
        store.create(tasks.collect()).await.unwrap();
        largest = largest.max(log().len());
        assert!(largest < 20 << 20, "the log is never put back: {largest}");
    }
    askers.end().await;
}

#[tokio::test]
async fn what_another_program_wrote_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    store
        .create(vec![upgrade(1, "node01", START)])
        .await
        .unwrap();
    let status = async || store.latest(&[agent(1)]).await.unwrap()[0].clone();
    for _ in 0..10 {
        assert_eq!(status().await.unwrap().status, Status::Pending);
    }
    let other = Connection::open(&file).unwrap();
    other
        .execute("UPDATE TASKS SET STATUS = 'Failed'", [])
        .unwrap();
    let since = Instant::now();
    while status().await.unwrap().status != Status::Failed {
        assert!(since.elapsed() < DEADLINE);
    }
}
