//! Which run of a daemon has the file, and a file of the release before there were
//! entries and documents.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;

use rusqlite::Connection;
use wpk_api::{
    Changed, Claimed, Confirmation, Created, DocumentWrite, Entrance, Entry, Holder, NewDocument,
    Revision, Selector, Status, StoreError, TaskId, TaskStore, TimelineStep, Transition,
};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, TARGET, agent, to, upgrade};

/// As the second release left its file: task 1 done and awaited, 2 begun, 3 taken and once
/// interrupted, 4 failed, 5 waits, 6 held by its node, 7 a module's, 8 said to be In
/// progress, 9 deleted, 20 imported.
const LAYOUT_2: &[u8] = include_bytes!("files/layout-2.db");

async fn enter(store: &SqliteStore, node: &str) -> u64 {
    let entry = Entry {
        node: node.into(),
        holder: Holder {
            host: "manager".into(),
            process: 7,
            ..Holder::default()
        },
        replaces: None,
    };
    match store.enter(&entry).await.unwrap() {
        Entrance::Entered(entered) => {
            assert_eq!(entered.lease, None, "one daemon has it");
            entered.incarnation
        }
        Entrance::Held(held) => panic!("{held:?}"),
    }
}

fn layout(file: &Path) -> String {
    let sql = "SELECT value FROM WPKD_METADATA WHERE key = 'layout'";
    let connection = Connection::open(file).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_file_of_the_second_release_is_opened_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_2).unwrap();
    assert_eq!(layout(&file), "2");
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(layout(&file), "4");
    let ids: Vec<TaskId> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 20].map(TaskId).into();
    let found = store.tasks(&ids).await.unwrap();
    let statuses: Vec<String> = (found.iter())
        .map(|task| {
            task.as_ref()
                .map_or_else(String::new, |task| task.status.to_string())
        })
        .collect();
    assert_eq!(
        statuses.join(","),
        "Done,In progress,In progress,Failed,Pending,Pending,Pending,In progress,,Pending"
    );
    let feed = store.changes(Revision(0), 99).await.unwrap();
    assert!(feed.iter().all(|change| match &change.changed {
        Changed::Task(task) | Changed::Foreign(task) => !task.node.is_empty(),
        Changed::Deleted(id) => *id == TaskId(9),
    }));
    assert_eq!(store.place("mirror").await.unwrap(), Revision(1));

    // The same node goes on.
    let first = enter(&store, "node01").await;
    assert_eq!(store.orphans(TaskId(0), 99).await.unwrap(), []);
    let interrupted = store.interrupted("node01", true).await.unwrap();
    let crashes: Vec<_> = interrupted
        .iter()
        .map(|one| (one.task.id.0, one.crashes))
        .collect();
    assert_eq!(crashes, [(3, 2)]);
    assert!(store.begin_installer(TaskId(3), None, START).await.unwrap());
    let mut begun = Vec::new();
    for id in [1, 2, 3, 5] {
        begun.push(store.begun(TaskId(id)).await.unwrap());
    }
    assert_eq!(
        begun,
        [Some(0), Some(0), Some(first), None],
        "nobody counted before"
    );
    let awaiting = store.awaiting("node01", TaskId(0), 9).await.unwrap();
    assert_eq!(
        (awaiting[0].task.id, awaiting[0].target),
        (TaskId(1), TARGET)
    );
    let claimed = store.claim("node01", 99, START).await.unwrap();
    let ids = |claimed: &[Claimed]| claimed.iter().map(|one| one.task.id.0).collect::<Vec<_>>();
    assert_eq!(ids(&claimed), [5, 8]);
    // What is begun is spoken of, and documents can be kept.
    let word = Transition {
        select: Selector::SpokenOf(agent(2)),
        by: wpk_api::Mover::Report,
        ..to(TaskId(2), Status::Done, "node01", START)
    };
    store.transition(vec![word]).await.unwrap();
    let found = store.tasks(&[TaskId(2)]).await.unwrap();
    let confirmation = found[0].as_ref().unwrap().confirmation.clone();
    assert_eq!(confirmation, Some(Confirmation::Awaited));
    let write = DocumentWrite {
        key: "rollout".into(),
        expected: None,
        becomes: Some(NewDocument {
            epoch: 1,
            keeps_tasks: true,
            text: "{}".into(),
        }),
    };
    let written = store.write_documents(vec![write], None).await.unwrap();
    assert_eq!(written, Some(vec![1]));
    drop(store);
    let store = SqliteStore::open(&file).unwrap();
    assert!(enter(&store, "node01").await > first);
    assert_eq!(store.documents("", "", 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_node_left_under_its_former_name_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    std::fs::write(&file, LAYOUT_2).unwrap();
    let store = SqliteStore::open(&file).unwrap();
    enter(&store, "renamed").await;
    let orphans = store.orphans(TaskId(0), 99).await.unwrap();
    let ids: Vec<TaskId> = orphans.iter().map(|task| task.id).collect();
    assert_eq!(ids, [3, 5, 8].map(TaskId));
    let before = store.revision().await.unwrap();
    assert_eq!(store.take_over(&ids).await.unwrap(), ids);
    let claimed = store.claim("renamed", 99, START).await.unwrap();
    assert_eq!(claimed.len(), 3);
    assert_eq!(claimed[0].crashes, 1);
    // The feed tells each change as it was then, also once it is deleted.
    let nodes = async || {
        let changes = store.changes(Revision(0), 99).await.unwrap();
        let of_5 = changes
            .into_iter()
            .filter_map(|change| match change.changed {
                Changed::Task(task) if task.id == TaskId(5) => {
                    Some((change.revision > before, task.node))
                }
                _ => None,
            });
        of_5.collect::<Vec<_>>()
    };
    let seen = nodes().await;
    let expected =
        |(later, node): &(bool, String)| node == if *later { "renamed" } else { "node01" };
    assert!(seen.len() == 3 && seen.iter().all(expected), "{seen:?}");
    let failed = to(TaskId(5), Status::Failed, "renamed", START);
    store.transition(vec![failed]).await.unwrap();
    store.purge(START + 9).await.unwrap();
    let seen = nodes().await;
    assert!(seen.len() == 4 && seen.iter().all(expected), "{seen:?}");
    let timeline = store.timeline(TaskId(3)).await.unwrap();
    let steps: Vec<_> = timeline.iter().map(|one| one.step).collect();
    assert_eq!(
        steps,
        [
            TimelineStep::Created,
            TimelineStep::Wait,
            TimelineStep::Moved
        ]
    );
}

/// The lock can be lost: somebody deletes the file that says who has it.
#[tokio::test]
async fn who_was_overtaken_writes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let first = SqliteStore::open(&file).unwrap();
    enter(&first, "node01").await;
    first
        .create(vec![upgrade(1, "node01", START)])
        .await
        .unwrap();
    std::fs::remove_file(folder.path().join("tasks.db.owner")).unwrap();
    let second = SqliteStore::open(&file).unwrap();
    enter(&second, "node02").await;
    let fenced = first.claim("node01", 9, START).await;
    assert!(
        matches!(&fenced, Err(StoreError::Fenced(text))
            if text.contains("node02") && text.contains("tasks.db")),
        "{fenced:?}"
    );
    let fenced = first.renew().await;
    assert!(matches!(fenced, Err(StoreError::Fenced(_))), "{fenced:?}");
    assert_eq!(first.latest(&[agent(1)]).await.unwrap().len(), 1);
    // The second has it: nobody else lives.
    assert_eq!(second.take_over(&[TaskId(1)]).await.unwrap(), [TaskId(1)]);
    let created = second.create(vec![upgrade(1, "node02", START)]).await;
    assert_eq!(created.unwrap(), [Created::AlreadyLive(TaskId(1))]);
}
