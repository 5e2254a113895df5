//! Names, leases and fencing.

use std::time::Duration;

use wpk_api::{
    Cancel, Confirmation, Entrance, Held, Mover, Revision, Status, StoreError, TaskId, TaskStore,
    TimelineEntry, TimelineStep, Transition,
};

use crate::store_suite::stand::{Stand, clock, entered, entry};
use crate::store_suite::tasks::{START, create, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    incarnations_count_up(&make().await).await;
    a_name_whose_lease_lives_is_held(&make().await).await;
    who_was_replaced_is_fenced(&make().await).await;
    a_lease_that_ran_out_holds_no_name(&make().await).await;
    who_renews_holds_its_name(&make().await).await;
    a_lease_that_ran_out_is_renewed_while_nobody_entered(&make().await).await;
    who_leaves_is_waited_for_by_nobody(&make().await).await;
    every_node_is_known(&make().await).await;
}

async fn held(store: &dyn TaskStore, node: &str, replaces: Option<u64>) -> Held {
    match ok(store.enter(&entry(node, replaces)).await) {
        Entrance::Held(held) => held,
        Entrance::Entered(entered) => panic!("{node} is held, and was entered: {entered:?}"),
    }
}

async fn incarnations_count_up(stand: &Stand) {
    let mut last = 0;
    for node in ["node01", "node02", "node03"] {
        let daemon = stand.daemon(node).await;
        let incarnation = daemon.entered.incarnation;
        assert!(incarnation > last, "{incarnation} after {last}");
        assert!(daemon.lease() >= Duration::from_secs(1));
        last = incarnation;
        // Killed and started again: it knows that its former process ended.
        let again = stand.start(node, Some(daemon.kill())).await;
        assert!(again.entered.incarnation > last);
        last = again.entered.incarnation;
    }
}

async fn a_name_whose_lease_lives_is_held(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let other = stand.daemon("node02").await;
    let second = stand.open().await;
    stand.pass(&*second, Duration::from_secs(1)).await;
    for replaces in [None, Some(other.entered.incarnation), Some(u64::MAX >> 1)] {
        let held = held(&*second, "node01", replaces).await;
        assert_eq!(held.holder, entry("node01", None).holder);
        assert_eq!(held.incarnation, first.entered.incarnation);
        assert!(held.age >= Duration::from_secs(1), "{held:?}");
        assert!(held.left < first.lease(), "{held:?}");
        assert!(
            held.left + held.age >= first.lease(),
            "what is left began when it was heard of: {held:?}"
        );
    }
    // Nothing changed: the holder goes on, and another name is free.
    create(&*first.store, upgrade(1, "node01", START)).await;
    entered(&*second, "node03", None).await;
}

async fn who_was_replaced_is_fenced(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let other = stand.daemon("node02").await;
    let task = create(&*first.store, upgrade(1, "node01", START)).await;
    let waiting = create(&*first.store, upgrade(2, "node01", START)).await;
    ok(first.store.claim("node01", 1, START).await);
    let second = stand.start("node01", Some(first.entered.incarnation)).await;
    let before = ok(second.store.revision().await);
    every_write_is_fenced(&*first.store, task, waiting).await;
    assert_eq!(ok(second.store.revision().await), before, "without effect");
    let found = ok(second.store.tasks(&[task, waiting]).await);
    // A question is answered.
    assert_eq!(ok(first.store.tasks(&[task, waiting]).await), found);
    let interrupted = ok(second.store.interrupted("node01", false).await);
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].crashes, 0, "counted by nobody who is fenced");
    // Nobody else is shut out, and the lease of the second was not ended by the first.
    assert!(ok(second.store.begin_installer(task, None, START).await));
    create(&*other.store, upgrade(3, "node02", START)).await;
    held(&*stand.open().await, "node01", None).await;
}

/// All calls that change something.
async fn every_write_is_fenced(store: &dyn TaskStore, task: TaskId, waiting: TaskId) {
    fn check<T: std::fmt::Debug>(call: &str, answer: Result<T, StoreError>) {
        assert!(
            matches!(answer, Err(StoreError::Fenced(_))),
            "{call} by a daemon that was shut out: {answer:?}"
        );
    }
    let note = || TimelineEntry::new(START, TimelineStep::Wait);
    let report = Transition {
        by: Mover::Report,
        ..to(task, Status::Failed, "node01", START)
    };
    let failed = to(task, Status::Failed, "node01", START);
    let readers = ["mirror".to_owned()];
    check(
        "create",
        store.create(vec![upgrade(9, "node01", START)]).await,
    );
    check("transition", store.transition(vec![failed]).await);
    check("transition", store.transition(vec![report]).await);
    check("claim", store.claim("node01", 9, START).await);
    check("interrupted", store.interrupted("node01", true).await);
    check("begin", store.begin_installer(task, None, START).await);
    check("touch", store.touch(&[task], START).await);
    check(
        "cancel",
        store.cancel("node01", Cancel::Pending, START).await,
    );
    check("withdraw", store.withdraw(&[waiting]).await);
    check("expire", store.expire(&[], START).await);
    check("purge", store.purge(START).await);
    check("note", store.note(vec![(task, note())]).await);
    let confirmed = store.confirm(task, Confirmation::Confirmed, note());
    check("confirm", confirmed.await);
    check("set_place", store.set_place("mirror", Revision(1)).await);
    check("keep_readers", store.keep_readers(&readers).await);
    check("take_over", store.take_over(&[task]).await);
    check("hand_over", store.hand_over(&[waiting], "node02").await);
    check("renew", store.renew().await);
    check("leave", store.leave().await);
}

async fn a_lease_that_ran_out_holds_no_name(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let watcher = stand.daemon("node09").await;
    stand.outlive(&[&watcher]).await;
    let second = stand.daemon("node01").await;
    assert!(second.entered.incarnation > first.entered.incarnation);
    let fenced = first.store.renew().await;
    assert!(matches!(fenced, Err(StoreError::Fenced(_))), "{fenced:?}");
    ok(second.store.renew().await);
}

async fn who_renews_holds_its_name(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let half = first.lease() / 2;
    for _ in 0..4 {
        stand.pass(&*first.store, half).await;
        ok(first.store.renew().await);
    }
    let held = held(&*stand.open().await, "node01", None).await;
    assert_eq!(held.incarnation, first.entered.incarnation);
}

async fn a_lease_that_ran_out_is_renewed_while_nobody_entered(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let watcher = stand.daemon("node09").await;
    create(&*first.store, upgrade(1, "node01", START)).await;
    stand.outlive(&[&watcher]).await;
    let orphans = async || ok(watcher.store.orphans(TaskId(0), 9).await).len();
    assert_eq!(orphans().await, 1);
    // It is not shut out, and it says so itself.
    create(&*first.store, upgrade(2, "node01", START)).await;
    ok(first.store.renew().await);
    assert_eq!(orphans().await, 0);
    held(&*stand.open().await, "node01", None).await;
    assert_eq!(ok(first.store.claim("node01", 9, START).await).len(), 2);
}

async fn who_leaves_is_waited_for_by_nobody(stand: &Stand) {
    let first = stand.daemon("node01").await;
    let watcher = stand.daemon("node09").await;
    create(&*first.store, upgrade(1, "node01", START)).await;
    ok(first.store.leave().await);
    assert_eq!(ok(watcher.store.orphans(TaskId(0), 9).await).len(), 1);
    drop(first);
    stand.daemon("node01").await;
    assert_eq!(ok(watcher.store.orphans(TaskId(0), 9).await), []);
}

async fn every_node_is_known(stand: &Stand) {
    let mut daemons = Vec::new();
    for node in ["node02", "node01", "node03"] {
        daemons.push(stand.daemon(node).await);
    }
    let [second, first, third] = daemons.as_slice() else {
        return;
    };
    ok(third.store.leave().await);
    stand.outlive(&[first]).await;
    let nodes = ok(first.store.nodes().await);
    let lives: Vec<_> = (nodes.iter())
        .map(|state| (state.node.as_str(), state.lives))
        .collect();
    assert_eq!(
        lives,
        [("node01", true), ("node02", false), ("node03", false)]
    );
    assert_eq!(nodes[1].held.incarnation, second.entered.incarnation);
    assert_eq!(nodes[1].held.holder, entry("node02", None).holder);
    assert_eq!(nodes[1].held.left, Duration::ZERO);
    assert!(nodes[0].held.left > Duration::ZERO, "{nodes:?}");
    assert!(clock(&*first.store).await > 0);
}
