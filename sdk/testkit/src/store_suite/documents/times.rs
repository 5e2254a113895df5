//! Fences that open and close.

use wpk_api::{NewTask, TaskId, TaskStore, UnixTime};

use super::writing::{made_for, put, write};
use crate::store_suite::tasks::{START, create, ok, order, upgrade};

/// A task for a document, from one time to another.
fn between(opens: UnixTime, closes: Option<UnixTime>, id: u32) -> NewTask {
    let mut task = made_for("a", 1, id);
    if let Some(fence) = &mut task.fence {
        (fence.opens, fence.closes) = (opens, closes);
    }
    task
}

pub(super) async fn what_has_not_opened_is_sent_and_not_claimed(store: &dyn TaskStore) {
    put(store, write("a", None, 1, "")).await;
    let later = create(store, between(START + 10, None, 1)).await;
    let open = create(store, between(START, None, 2)).await;
    let plain = create(store, upgrade(3, "node01", START)).await;
    create(
        store,
        NewTask {
            node: "node02".to_owned(),
            ..between(START, None, 4)
        },
    )
    .await;
    let staged = async |node, after, limit| {
        let staged = ok(store.staging(node, after, limit).await);
        staged.iter().map(|one| one.task.id).collect::<Vec<_>>()
    };
    assert_eq!(staged("node01", TaskId(0), 9).await, [later, open]);
    assert_eq!(staged("node01", TaskId(0), 1).await, [later]);
    assert_eq!(staged("node01", later, 9).await, [open]);
    let found = ok(store.staging("node01", TaskId(0), 1).await);
    assert_eq!(found[0].order, Ok(order(1)));
    let before = ok(store.tasks(&[later]).await);
    let claim = async |now| {
        let claimed = ok(store.claim("node01", 9, now).await);
        claimed.iter().map(|one| one.task.id).collect::<Vec<_>>()
    };
    assert_eq!(claim(START + 9).await, [open, plain]);
    assert_eq!(ok(store.tasks(&[later]).await), before);
    assert_eq!(
        staged("node01", TaskId(0), 9).await,
        [later],
        "not taken yet"
    );
    assert_eq!(claim(START + 10).await, [later]);
    assert_eq!(staged("node01", TaskId(0), 9).await, []);
}

pub(super) async fn what_closed_is_not_begun(store: &dyn TaskStore) {
    put(store, write("a", None, 1, "")).await;
    let closes = Some(START + 10);
    let late = create(store, between(0, closes, 1)).await;
    let early = create(store, between(0, closes, 2)).await;
    assert_eq!(ok(store.claim("node01", 9, START + 20).await).len(), 2);
    let begin = async |task, now| ok(store.begin_installer(task, None, now).await);
    assert!(!begin(late, START + 10).await);
    assert!(begin(early, START + 9).await);
    assert!(!begin(early, START + 9).await, "once");
}
