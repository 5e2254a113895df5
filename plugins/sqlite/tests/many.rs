//! Many tasks in one call, which are made together where they are alike: what is stored is
//! what one call for each would have stored.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use rusqlite::Connection;
use tempfile::TempDir;
use wpk_api::{Change, Claimed, Created, NewTask, Revision, Task, TaskId, TaskStore};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, upgrade};

fn store() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tasks.db")).unwrap();
    (folder, store)
}

fn upgrades(agents: impl IntoIterator<Item = u32>) -> Vec<NewTask> {
    let tasks = agents.into_iter().map(|id| upgrade(id, "node01", START));
    tasks.collect()
}

/// The same calls to two stores, to one of them a task at a time.
async fn both(calls: Vec<Vec<NewTask>>) -> (TempDir, SqliteStore, Vec<Vec<Created>>) {
    let ((one, together), (_other, apart)) = (store(), store());
    let mut answers = Vec::new();
    for tasks in calls {
        let created = together.create(tasks.clone()).await.unwrap();
        let mut wanted = Vec::new();
        for task in tasks {
            wanted.extend(apart.create(vec![task]).await.unwrap());
        }
        assert_eq!(created, wanted);
        answers.push(created);
    }
    let of = all(&together).await;
    assert_eq!(of, all(&apart).await);
    (one, together, answers)
}

/// All that is told of its tasks.
async fn all(store: &SqliteStore) -> (Vec<Change>, Vec<Option<Task>>, Vec<Claimed>) {
    let changes = store.changes(Revision(0), 10_000).await.unwrap();
    let ids: Vec<TaskId> = (1..=400).map(TaskId).collect();
    let tasks = store.tasks(&ids).await.unwrap();
    let claimed = store.claim("node01", 10_000, START).await.unwrap();
    (changes, tasks, claimed)
}

#[tokio::test]
async fn each_gets_its_own_id_order_and_change() {
    // Not a multiple of what is made together.
    let (_, _, answers) = both(vec![upgrades((1..=300).rev())]).await;
    let ids = (1..=300).map(|id| Created::Task(TaskId(id)));
    assert!(ids.eq(answers.into_iter().flatten()));
}

#[tokio::test]
async fn live_tasks_and_doubles_among_them_are_told() {
    let doubles = (1..=100).chain(50..=250);
    let live = [7, 64, 65, 200];
    let (_folder, store, answers) = both(vec![upgrades(live), upgrades(doubles)]).await;
    let already = answers[1]
        .iter()
        .filter(|one| matches!(one, Created::AlreadyLive(_)));
    assert_eq!(already.count(), live.len() + 51);
    let latest = store.latest(&[agent(64)]).await.unwrap();
    assert_eq!(latest[0].as_ref().map(|task| task.id), Some(TaskId(2)));
}

#[tokio::test]
async fn what_is_not_alike_is_made_too() {
    let mut tasks = upgrades(1..=200);
    tasks[3].created += 1;
    tasks[70].node = "node02".to_owned();
    tasks[140].order = None;
    tasks[141].exclusive = false;
    tasks[142].held = true;
    both(vec![tasks]).await;
}

/// `.cargo/config.toml` asks for it: a statement that makes many tasks would write what it
/// changes to a temporary file otherwise.
#[test]
fn what_a_failed_statement_would_undo_is_kept_in_memory() {
    let database = Connection::open_in_memory().unwrap();
    let set: bool = database
        .query_row(
            "SELECT sqlite_compileoption_used('STMTJRNL_SPILL=126976')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(set);
}
