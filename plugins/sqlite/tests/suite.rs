//! The suite for all stores, on this one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use wpk_api::{BuildError, Context, Factory, NodeInfo, Role, TaskStore};
use wpk_plugin_sqlite::{SqliteStore, plugin};
use wpk_testkit::store_suite::Stand;
use wpk_testkit::suite::now;
use wpk_testkit::{settings_suite, store_suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicU32::new(0);
    let make = async || {
        let name = format!("{}.db", next.fetch_add(1, Ordering::Relaxed));
        Arc::new(SqliteStore::open(folder.path().join(name)).unwrap()) as Arc<dyn TaskStore>
    };
    store_suite::run(make).await;
    // It takes tasks of a manager's own module over, and keeps documents.
    store_suite::imports::run(&make).await;
    store_suite::documents::run(&make).await;
    store_suite::restarts::run(async || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasks.db");
        Stand::new(move || now(Arc::new(SqliteStore::open(&file).unwrap()) as Arc<dyn TaskStore>))
            .keep(folder)
    })
    .await;
}

fn context(home: &std::path::Path) -> Context {
    let node = NodeInfo {
        name: "node01".into(),
        role: Role::Master,
        version: None,
    };
    Context::new(home, node)
}

#[tokio::test]
async fn the_factory_makes_it_in_the_home() {
    let home = tempfile::tempdir().unwrap();
    let store = plugin().build(&json!({}), &context(home.path())).unwrap();
    assert_eq!(store.latest(&[]).await, Ok(vec![]));
    assert!(home.path().join("var/wpkd/tasks.db").is_file());
    assert_eq!(plugin().kind(), "sqlite");
}

#[test]
fn mistakes_in_the_settings_are_found_without_touching_anything() {
    let home = tempfile::tempdir().unwrap();
    for (section, key) in [
        (json!({"path": 5}), "path"),
        (json!({"path": ""}), "path"),
        (json!({"path": "/"}), "path"),
        (json!({"pfad": "x"}), "pfad"),
        (json!([]), ""),
    ] {
        let problems = plugin().check(&section);
        assert_eq!(problems.len(), 1, "{section}: {problems:?}");
        assert_eq!(problems[0].key, key);
        let built = plugin().build(&section, &context(home.path()));
        assert_eq!(built.err(), Some(BuildError::Settings(problems)));
    }
    assert!(plugin().check(&json!({"path": "a/b.db"})).is_empty());
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}

#[test]
fn its_settings_are_read_as_all_settings_are() {
    settings_suite::run(&plugin(), &json!({}));
    settings_suite::run(&plugin(), &json!({"path": "a/b.db"}));
}

/// What was deleted is kept for readers only.
#[tokio::test]
async fn readers_that_are_not_named_any_more_are_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let store = plugin().build(&json!({}), &context(home.path())).unwrap();
    for reader in ["mirror", "audit"] {
        store.set_place(reader, wpk_api::Revision(3)).await.unwrap();
    }
    store.keep_readers(&["audit".to_owned()]).await.unwrap();
    assert_eq!(store.place("mirror").await.unwrap().0, 0);
    assert_eq!(store.place("audit").await.unwrap().0, 3);
    store.keep_readers(&[]).await.unwrap();
    assert_eq!(store.place("audit").await.unwrap().0, 0);
}
