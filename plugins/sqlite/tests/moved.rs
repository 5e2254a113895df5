//! A file that is taken away while it is open.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::PathBuf;

use tempfile::TempDir;
use wpk_api::{Created, StoreError, TaskId, TaskStore};
use wpk_plugin_sqlite::SqliteStore;
use wpk_testkit::store_suite::{START, agent, upgrade};

/// A store with task 1 of agent 1.
async fn store() -> (TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.db");
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(create(&store, 1).await, Ok(vec![Created::Task(TaskId(1))]));
    (folder, file, store)
}

async fn create(store: &SqliteStore, n: u32) -> Result<Vec<Created>, StoreError> {
    store.create(vec![upgrade(n, "node01", START)]).await
}

/// Nothing is stored, with these words; what was stored before is still told.
async fn assert_refused(store: &SqliteStore, words: &str) {
    for n in 2..4 {
        let error = create(store, n).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unavailable(text) if text.contains(words)),
            "{error:?}"
        );
        assert_eq!(store.latest(&[agent(n)]).await, Ok(vec![None]));
    }
    let latest = store.latest(&[agent(1)]).await.unwrap().remove(0);
    assert_eq!(latest.map(|task| task.id), Some(TaskId(1)));
}

#[tokio::test]
async fn nothing_is_written_into_a_file_that_was_removed() {
    let (folder, file, store) = store().await;
    let away = folder.path().join("away.db");
    std::fs::rename(&file, &away).unwrap();
    assert_refused(&store, "tasks.db was removed").await;
    // The same file again: it goes on.
    std::fs::rename(&away, &file).unwrap();
    assert!(create(&store, 2).await.is_ok());
    std::fs::remove_file(&file).unwrap();
    let error = create(&store, 3).await.unwrap_err().to_string();
    assert!(error.contains("was removed"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_replaced_is_left_as_it_is() {
    let (folder, file, store) = store().await;
    let other = folder.path().join("other.db");
    drop(SqliteStore::open(&other).unwrap());
    let before = std::fs::read(&other).unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_refused(&store, "tasks.db was replaced").await;
    drop(store);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_log_that_was_removed_is_put_back_into_the_file_at_the_end() {
    let (folder, file, store) = store().await;
    std::fs::remove_file(folder.path().join("tasks.db-wal")).unwrap();
    assert_refused(&store, "tasks.db-wal was removed").await;
    drop(store);
    let store = SqliteStore::open(&file).unwrap();
    let latest = store.latest(&[agent(1)]).await.unwrap().remove(0);
    assert_eq!(latest.map(|task| task.id), Some(TaskId(1)));
}
