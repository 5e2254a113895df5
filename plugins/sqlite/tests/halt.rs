//! A rollout is halted while the installers of very many agents are about to begin: from the
//! moment at which the halt is written, none begins.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::unconstrained;
use wpk_api::{
    Changed, Created, DocumentWrite, Fence, NewDocument, NewTask, Revision, Status, TaskId,
    TaskStore,
};
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

/// Nothing may take longer, also on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(300);

async fn within<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, work).await;
    done.expect("it takes too long")
}

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
        fence: Some(Box::new(Fence {
            key: KEY.to_owned(),
            epoch: 1,
            opens: 0,
            closes: None,
            mark: String::new(),
        })),
        ..upgrade(agent, "node01", START)
    }
}

/// Deliveries of all agents, claimed.
async fn in_flight(store: &SqliteStore) -> Vec<TaskId> {
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
    tasks
}

/// What became of which task behind a revision, in the order of the store.
async fn changed(store: &SqliteStore, mut after: Revision) -> Vec<(TaskId, Status)> {
    let mut changes = Vec::new();
    loop {
        let page = store.changes(after, CALL).await.unwrap();
        let Some(last) = page.last() else {
            return changes;
        };
        after = last.revision;
        changes.extend(page.iter().map(|change| match &change.changed {
            Changed::Task(task) => (task.id, task.status.clone()),
            other => panic!("{other:?}"),
        }));
    }
}

/// On one thread, so that nothing comes between the halt and the task that is created with it:
/// the store writes in the order in which it is called. A begun installer is a change of its
/// task, so none may be told of behind that task, also none that was on its way at the halt.
#[tokio::test]
async fn no_installer_begins_after_a_halt_with_100_000_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("tasks.db")).unwrap());
    let version = write(&store, None, 1).await;
    let tasks = in_flight(&store).await;
    let in_flight = store.revision().await.unwrap();

    let (begun, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let writers = tasks.chunks(tasks.len().div_ceil(WRITERS)).map(|some| {
        let (store, begun, enough) = (store.clone(), begun.clone(), enough.clone());
        let some = some.to_vec();
        tokio::spawn(async move {
            for task in some {
                let begins = store.begin_installer(task, None, START).await.unwrap();
                if begins && begun.fetch_add(1, Ordering::SeqCst) + 1 == BEFORE {
                    enough.notify_one();
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    within(enough.notified()).await;
    let (_, marker) = within(unconstrained(async {
        let marker = store.create(vec![upgrade(AGENTS + 1, "node01", START)]);
        tokio::join!(biased; write(&store, Some(version), 2), marker)
    }))
    .await;
    let [Created::Task(marker)] = marker.unwrap()[..] else {
        panic!("no task is created at the halt");
    };
    within(async {
        for writer in writers {
            writer.await.unwrap();
        }
    })
    .await;
    let changes = changed(&store, in_flight).await;
    let halt = changes.iter().position(|(task, _)| *task == marker);
    let (before, after) = changes.split_at(halt.unwrap());
    let of = |status| before.iter().filter(move |change| change.1 == status);
    let began = of(Status::InProgress).count();
    println!("{began} of {AGENTS} began before the halt, which cancelled the others");
    assert_eq!(after, [(marker, Status::Pending)]);
    assert_eq!(begun.load(Ordering::SeqCst), began);
    assert_eq!(of(Status::Cancelled).count(), AGENTS as usize - began);
    assert!(began >= BEFORE && began < AGENTS as usize, "{began}");
}
