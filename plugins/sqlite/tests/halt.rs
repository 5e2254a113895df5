//! A rollout is halted while the installers of very many agents are about to begin: from the
//! moment at which the halt is written, none begins.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use wpk_api::{Created, DocumentWrite, Fence, NewDocument, NewTask, TaskId, TaskStore};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, upgrade};

/// Agents whose deliveries are in flight.
const AGENTS: u32 = 100_000;
/// Tasks of one call.
const CALL: usize = 10_000;
/// Deliveries that write at the same time.
const WRITERS: usize = 64;
/// Installers that begin before the halt.
const BEFORE: usize = 500;
const KEY: &str = "rollout/prod#1";

async fn write(store: &SqliteStore, expected: Option<u64>, epoch: u64) -> u64 {
    let becomes = NewDocument {
        epoch,
        keeps_tasks: true,
        text: "{}".to_owned(),
    };
    let write = DocumentWrite {
        key: KEY.to_owned(),
        expected,
        becomes: Some(becomes),
    };
    let written = store.write_documents(vec![write], None).await.unwrap();
    written.unwrap()[0]
}

fn made_for_it(agent: u32) -> NewTask {
    NewTask {
        fence: Some(Fence {
            key: KEY.to_owned(),
            epoch: 1,
            opens: 0,
            closes: None,
            mark: String::new(),
        }),
        ..upgrade(agent, "node01", START)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_installer_begins_after_a_halt_with_100_000_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("tasks.db")).unwrap());
    let version = write(&store, None, 1).await;
    let agents: Vec<u32> = (1..=AGENTS).collect();
    let mut tasks: Vec<TaskId> = Vec::new();
    for some in agents.chunks(CALL) {
        let new = some.iter().map(|agent| made_for_it(*agent)).collect();
        let created = store.create(new).await.unwrap().into_iter();
        tasks.extend(created.map(|one| match one {
            Created::Task(task) => task,
            other => panic!("{other:?}"),
        }));
    }
    let mut claimed = 0;
    while claimed < tasks.len() {
        let some = store.claim("node01", CALL, START).await.unwrap();
        assert!(!some.is_empty(), "{claimed} are in flight");
        claimed += some.len();
    }

    let halted = Arc::new(AtomicBool::new(false));
    let (before, after) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let enough = Arc::new(Notify::new());
    let writers = tasks.chunks(tasks.len().div_ceil(WRITERS)).map(|some| {
        let (store, halted, enough) = (store.clone(), halted.clone(), enough.clone());
        let (before, after) = (before.clone(), after.clone());
        let some = some.to_vec();
        tokio::spawn(async move {
            for task in some {
                let is_late = halted.load(Ordering::SeqCst);
                if !store.begin_installer(task, None, START).await.unwrap() {
                    continue;
                }
                if is_late {
                    after.fetch_add(1, Ordering::SeqCst);
                } else if before.fetch_add(1, Ordering::SeqCst) + 1 == BEFORE {
                    enough.notify_one();
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    enough.notified().await;
    write(&store, Some(version), 2).await;
    halted.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let (before, after) = (before.load(Ordering::SeqCst), after.load(Ordering::SeqCst));
    println!("{before} of {AGENTS} began before the halt, {after} after it");
    assert!(before >= BEFORE && before < AGENTS as usize, "{before}");
    assert_eq!(after, 0);
}
