//! Documents are compared and set, and read in the order of their keys.

use wpk_api::{Document, LONGEST_DOCUMENT, LONGEST_KEY, Status, TaskStore};

use super::writing::{delete, guard, made_for, put, refused, write};
use crate::store_suite::tasks::{create, ok};

pub(super) async fn a_document_is_written_if_it_is_as_expected(store: &dyn TaskStore) {
    assert_eq!(ok(store.documents("", "", 99).await), []);
    refused(store, vec![write("a", Some(1), 0, "")], None).await;
    refused(store, vec![delete("a", Some(1))], None).await;
    let text = "{\"name\": \"first 'wave'\"}\n\u{1f98a}";
    let first = put(store, write("a", None, 3, text)).await;
    let document = Document {
        key: "a".to_owned(),
        version: first,
        epoch: 3,
        keeps_tasks: false,
        text: text.to_owned(),
    };
    assert_eq!(ok(store.documents("", "", 99).await), [document]);
    for expected in [None, Some(first + 1), Some(0)] {
        refused(store, vec![write("a", expected, 3, "other")], None).await;
        refused(store, vec![delete("a", expected)], None).await;
    }
    let second = put(store, write("a", Some(first), 3, "")).await;
    assert!(second > first);
    // An epoch is never lowered.
    refused(store, vec![write("a", Some(second), 2, "")], None).await;
    put(store, delete("a", Some(second))).await;
    assert_eq!(ok(store.documents("", "", 99).await), []);
    assert_eq!(ok(store.write_documents(vec![], None).await), Some(vec![]));
}

pub(super) async fn they_are_read_in_the_order_of_their_keys(store: &dyn TaskStore) {
    for key in ["b/2", "a", "b/10", "B", "b", "c", "b/é", "b%", "b_x"] {
        put(store, write(key, None, 0, key)).await;
    }
    let keys = async |prefix, after, limit| {
        let found = ok(store.documents(prefix, after, limit).await);
        let keys: Vec<String> = found.into_iter().map(|one| one.key).collect();
        keys.join(" ")
    };
    assert_eq!(keys("", "", 99).await, "B a b b% b/10 b/2 b/é b_x c");
    assert_eq!(keys("b/", "", 99).await, "b/10 b/2 b/é");
    assert_eq!(keys("b/", "b/10", 1).await, "b/2");
    assert_eq!(keys("b%", "", 99).await, "b%");
    assert_eq!(keys("b_", "", 99).await, "b_x");
    assert_eq!(keys("b", "b/é", 99).await, "b_x");
    assert_eq!(keys("d", "", 99).await, "");
    assert_eq!(keys("", "", 0).await, "");
}

pub(super) async fn what_was_written_since_is_found_by_version(store: &dyn TaskStore) {
    let mut versions = Vec::new();
    for key in ["b/1", "b/2", "a", "b/3"] {
        versions.push(put(store, write(key, None, 0, key)).await);
    }
    let since = async |prefix, after, limit| {
        let found = ok(store.documents_since(prefix, after, limit).await);
        let keys: Vec<String> = found.into_iter().map(|one| one.key).collect();
        keys.join(" ")
    };
    assert_eq!(since("b/", 0, 99).await, "b/1 b/2 b/3");
    // One that is written again comes behind all others.
    let again = put(store, write("b/1", Some(versions[0]), 0, "again")).await;
    assert_eq!(since("b/", 0, 99).await, "b/2 b/3 b/1");
    assert_eq!(since("b/", 0, 2).await, "b/2 b/3");
    assert_eq!(since("b/", versions[1], 1).await, "b/3");
    assert_eq!(since("", versions[1], 99).await, "a b/3 b/1");
    assert_eq!(since("b/", again, 99).await, "");
    assert_eq!(since("b/", u64::MAX, 99).await, "");
    put(store, delete("b/2", Some(versions[1]))).await;
    assert_eq!(since("b/", 0, 99).await, "b/3 b/1");
}

pub(super) async fn all_are_written_or_none(store: &dyn TaskStore) {
    let first = put(store, write("a", None, 0, "1")).await;
    let task = create(store, made_for("a", 0, 1)).await;
    let both = |expected| {
        vec![
            write("a", Some(first), 1, "2"),
            write("b", expected, 0, "2"),
        ]
    };
    refused(store, both(Some(7)), None).await;
    refused(store, both(None), Some(guard("a", first + 1))).await;
    refused(store, both(None), Some(guard("b", first))).await;
    let waits = ok(store.tasks(&[task]).await);
    assert_eq!(
        waits[0].as_ref().map(|task| &task.status),
        Some(&Status::Pending),
        "what was not written ends nothing"
    );
    let versions = ok(store
        .write_documents(both(None), Some(guard("a", first)))
        .await);
    let versions = versions.unwrap_or_default();
    let found = ok(store.documents("", "", 99).await);
    let kept: Vec<u64> = found.iter().map(|one| one.version).collect();
    assert_eq!(kept, versions, "in the order of the writes");
    assert!(found.iter().all(|one| one.text == "2"));
    assert_eq!(versions.len(), 2);
}

pub(super) async fn no_version_comes_twice(store: &dyn TaskStore) {
    let mut last = put(store, write("b", None, 0, "")).await;
    for _ in 0..3 {
        let version = put(store, write("a", None, 0, "")).await;
        assert!(version > last, "{version} after {last}");
        let gone = put(store, delete("a", Some(version))).await;
        assert!(gone >= version, "{gone} after {version}");
        refused(store, vec![write("a", Some(version), 0, "")], None).await;
        last = version;
    }
}

pub(super) async fn what_is_too_long_is_not_written(store: &dyn TaskStore) {
    let long = "k".repeat(LONGEST_KEY);
    let text = "t".repeat(LONGEST_DOCUMENT);
    refused(store, vec![write("", None, 0, "")], None).await;
    refused(store, vec![write(&format!("{long}k"), None, 0, "")], None).await;
    refused(
        store,
        vec![write(&long, None, 0, &format!("{text}t"))],
        None,
    )
    .await;
    put(store, write(&long, None, u64::MAX >> 1, "")).await;
    let found = ok(store.documents("k", "", 9).await);
    assert_eq!(found[0].epoch, u64::MAX >> 1);
}
