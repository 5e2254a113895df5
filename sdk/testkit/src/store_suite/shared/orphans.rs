//! What becomes of the tasks of a node whose lease ran out, and of those that a node
//! gives away.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::{JoinHandle, JoinSet};
use wpk_api::{Changed, Created, NewTask, Status, Task, TaskId, TimelineStep};

use crate::store_suite::stand::{Daemon, Stand};
use crate::store_suite::tasks::{START, bare, create, held, ok, order, to, upgrade};

/// Daemons in a race, and how often a race is run.
const RACERS: u32 = 8;
const ROUNDS: u32 = 12;

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    what_was_not_begun_is_taken_over(&make().await).await;
    what_never_had_a_daemon_is_taken_over(&make().await).await;
    pages_of_orphans_are_ascending(&make().await).await;
    of_many_exactly_one_takes_a_task(&make().await).await;
    it_is_begun_or_taken_never_both(&make().await).await;
    a_living_node_is_given_what_is_not_begun(&make().await).await;
    a_task_of_another_node_keeps_its_agent(&make().await).await;
}

async fn ids(tasks: impl Future<Output = wpk_api::StoreResult<Vec<Task>>>) -> Vec<TaskId> {
    ok(tasks.await).iter().map(|task| task.id).collect()
}

/// Tasks of a node in every state. First those that another may take over: one that
/// waits, one that somebody said is In progress, one that was taken.
async fn every_state(daemon: &Daemon) -> (Vec<TaskId>, Vec<TaskId>) {
    let (store, node) = (&*daemon.store, daemon.node.as_str());
    let new = async |task: NewTask| create(store, task).await;
    let begun = new(upgrade(4, node, START)).await;
    let ended = new(upgrade(5, node, START)).await;
    let taken = new(upgrade(3, node, START)).await;
    assert_eq!(ok(store.claim(node, 9, START).await).len(), 3);
    assert!(ok(store.begin_installer(begun, None, START).await));
    let failed = to(ended, Status::Failed, node, START);
    ok(store.transition(vec![failed]).await);
    let said = new(upgrade(2, node, START)).await;
    let said_so = to(said, Status::InProgress, node, START);
    ok(store.transition(vec![said_so]).await);
    let waiting = new(upgrade(1, node, START)).await;
    let others = vec![
        begun,
        ended,
        new(bare(6, node, START)).await,
        new(held(7, node, START)).await,
    ];
    (vec![taken, said, waiting], others)
}

async fn what_was_not_begun_is_taken_over(stand: &Stand) {
    let (dead, taker) = (stand.daemon("node01").await, stand.daemon("node02").await);
    let third = stand.daemon("node03").await;
    create(&*taker.store, upgrade(21, "node02", START)).await;
    create(&*third.store, upgrade(31, "node03", START)).await;
    let (free, others) = every_state(&dead).await;
    let mut all = free.clone();
    all.extend(&others);
    // As long as it lives nothing is anybody else's.
    assert_eq!(ids(taker.store.orphans(TaskId(0), 99)).await, []);
    assert_eq!(ok(taker.store.take_over(&all).await), []);
    let before = ok(taker.store.tasks(&all).await);
    stand.outlive(&[&taker, &third]).await;
    assert_eq!(ids(taker.store.orphans(TaskId(0), 99)).await, free);
    let revision = ok(taker.store.revision().await);
    ok(taker.store.set_place("reader", revision).await);
    let backwards: Vec<TaskId> = all.iter().rev().copied().collect();
    let taken = ok(taker.store.take_over(&backwards).await);
    let expected: Vec<TaskId> = free.iter().rev().copied().collect();
    assert_eq!(taken, expected, "those that may be, in the given order");
    assert_eq!(
        ok(taker.store.take_over(&all).await),
        [],
        "they are its own"
    );
    // Only their node is another; the feed tells of it, and the timeline.
    let after = ok(taker.store.tasks(&all).await);
    for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
        let node = match free.contains(&before.id) {
            true => "node02",
            false => "node01",
        };
        let expected = Task {
            node: node.to_owned(),
            ..before.clone()
        };
        assert_eq!(after, &expected);
        let timeline = ok(taker.store.timeline(after.id).await);
        let moved = timeline.iter().find(|one| one.step == TimelineStep::Moved);
        assert_eq!(moved.is_some(), free.contains(&after.id), "{timeline:?}");
        if let Some(moved) = moved {
            assert_eq!(moved.asked.as_deref(), Some("node02"));
            assert_eq!(moved.detail.as_deref(), Some("node01 before"));
        }
    }
    let told = ok(taker.store.changes(revision, 99).await);
    let told: Vec<_> = (told.iter())
        .map(|change| match &change.changed {
            Changed::Task(task) => (task.id, task.node.as_str()),
            other => panic!("a task that is moved is a task: {other:?}"),
        })
        .collect();
    let expected: Vec<_> = expected.iter().map(|id| (*id, "node02")).collect();
    assert_eq!(told, expected);
    the_taker_carries_them_out(&dead, &taker, &free).await;
}

async fn the_taker_carries_them_out(dead: &Daemon, taker: &Daemon, free: &[TaskId]) {
    // The former node is back, and has nothing of it any more.
    ok(dead.store.renew().await);
    assert_eq!(ok(dead.store.claim("node01", 99, START).await), []);
    assert_eq!(ok(dead.store.interrupted("node01", true).await), []);
    for id in free {
        assert!(!ok(dead.store.begin_installer(*id, None, START).await));
    }
    let claimed = ok(taker.store.claim("node02", 99, START).await);
    let mut carried: Vec<TaskId> = claimed.iter().map(|one| one.task.id).collect();
    carried.retain(|id| free.contains(id));
    assert_eq!(carried, free, "oldest first");
    let first = claimed.iter().find(|one| one.task.id == free[0]);
    assert_eq!(first.map(|one| one.order.clone()), Some(Ok(order(3))));
    for id in free {
        assert!(ok(taker.store.begin_installer(*id, None, START).await));
        let begun = ok(taker.store.begun(*id).await);
        assert_eq!(begun, Some(taker.entered.incarnation));
    }
}

async fn what_never_had_a_daemon_is_taken_over(stand: &Stand) {
    let daemon = stand.daemon("node01").await;
    let task = create(&*daemon.store, upgrade(1, "nobody", START)).await;
    create(&*daemon.store, bare(2, "nobody", START)).await;
    assert_eq!(ids(daemon.store.orphans(TaskId(0), 9)).await, [task]);
    assert_eq!(ok(daemon.store.take_over(&[task]).await), [task]);
    assert_eq!(ok(daemon.store.claim("node01", 9, START).await).len(), 1);
    // Before a daemon entered, nothing is its own, and nothing becomes it.
    let task = create(&*daemon.store, upgrade(3, "nobody", START)).await;
    let nameless = stand.open().await;
    assert_eq!(ids(nameless.orphans(TaskId(0), 9)).await, []);
    assert_eq!(ok(nameless.take_over(&[task]).await), []);
}

async fn pages_of_orphans_are_ascending(stand: &Stand) {
    let daemon = stand.daemon("node01").await;
    let mut all = Vec::new();
    for n in 1..=5 {
        all.push(create(&*daemon.store, upgrade(n, "nobody", START)).await);
    }
    let orphans = async |after, limit| ids(daemon.store.orphans(after, limit)).await;
    assert_eq!(orphans(TaskId(0), 2).await, all[..2]);
    assert_eq!(orphans(all[1], 99).await, all[2..]);
    assert_eq!(orphans(all[4], 99).await, []);
    assert_eq!(orphans(TaskId(0), 0).await, []);
}

async fn of_many_exactly_one_takes_a_task(stand: &Stand) {
    let dead = stand.daemon("dead").await;
    let mut takers = Vec::new();
    for n in 0..RACERS {
        takers.push(stand.daemon(&format!("node{n}")).await);
    }
    let mut tasks = Vec::new();
    for n in 1..=RACERS * 4 {
        tasks.push(create(&*dead.store, upgrade(n, "dead", START)).await);
    }
    stand.outlive(&takers.iter().collect::<Vec<_>>()).await;
    let mut racers = JoinSet::new();
    for (n, taker) in takers.iter().enumerate() {
        let (store, mut tasks) = (Arc::clone(&taker.store), tasks.clone());
        // Each begins somewhere else.
        let first = n * tasks.len() / takers.len();
        tasks.rotate_left(first);
        let node = taker.node.clone();
        racers.spawn(async move {
            let mut taken = Vec::new();
            for some in tasks.chunks(3) {
                taken.extend(ok(store.take_over(some).await));
            }
            let claimed = ok(store.claim(&node, usize::MAX, START).await);
            let claimed: HashSet<_> = claimed.iter().map(|one| one.task.id).collect();
            assert_eq!(claimed, taken.iter().copied().collect());
            taken
        });
    }
    let mut taken = racers.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken, tasks, "each is taken, and none twice");
}

async fn it_is_begun_or_taken_never_both(stand: &Stand) {
    let slow = stand.daemon("node01").await;
    let taker = stand.daemon("node02").await;
    for n in 1..=ROUNDS {
        let task = create(&*slow.store, upgrade(n, "node01", START)).await;
        assert_eq!(ok(slow.store.claim("node01", 9, START).await).len(), 1);
        stand.outlive(&[&taker]).await;
        let begin_it = {
            let store = Arc::clone(&slow.store);
            async move { ok(store.begin_installer(task, None, START).await) }
        };
        let take_it = {
            let store = Arc::clone(&taker.store);
            async move { ok(store.take_over(&[task]).await) == [task] }
        };
        // Both ways round, since the first has the lead.
        let (begin, take): (JoinHandle<bool>, JoinHandle<bool>);
        if n % 2 == 0 {
            (begin, take) = (tokio::spawn(begin_it), tokio::spawn(take_it));
        } else {
            let first = tokio::spawn(take_it);
            (begin, take) = (tokio::spawn(begin_it), first);
        }
        let (Ok(begun), Ok(taken)) = tokio::join!(begin, take) else {
            panic!("beginning it or taking it over failed");
        };
        assert!(begun != taken, "begun: {begun}, taken over: {taken}");
        let by = ok(slow.store.begun(task).await);
        assert_eq!(by, begun.then_some(slow.entered.incarnation));
        if taken {
            ok(taker.store.claim("node02", 9, START).await);
        }
        ok(slow.store.renew().await);
    }
}

async fn a_living_node_is_given_what_is_not_begun(stand: &Stand) {
    let (giver, other) = (stand.daemon("node01").await, stand.daemon("node02").await);
    let dead = stand.daemon("node03").await;
    let (free, others) = every_state(&giver).await;
    let foreign = create(&*other.store, upgrade(21, "node02", START)).await;
    let mut all = free.clone();
    all.extend(&others);
    all.push(foreign);
    stand.outlive(&[&giver, &other]).await;
    drop(dead);
    for nobody in ["node03", "node04", "node01", ""] {
        let given = ok(giver.store.hand_over(&all, nobody).await);
        assert_eq!(given, [], "to {nobody:?}");
    }
    assert_eq!(ok(giver.store.hand_over(&all, "node02").await), free);
    assert_eq!(ok(giver.store.hand_over(&all, "node02").await), []);
    let claimed = ok(other.store.claim("node02", 99, START).await);
    let mut expected = free.clone();
    expected.push(foreign);
    let claimed: Vec<TaskId> = claimed.iter().map(|one| one.task.id).collect();
    assert_eq!(claimed, expected);
    let timeline = ok(other.store.timeline(free[0]).await);
    let moved = timeline.iter().find(|one| one.step == TimelineStep::Moved);
    assert_eq!(
        moved.and_then(|moved| moved.asked.as_deref()),
        Some("node02")
    );
}

/// Whoever is asked makes a task for the node of its agent, which carries it out alone.
async fn a_task_of_another_node_keeps_its_agent(stand: &Stand) {
    let (asked, its_node) = (stand.daemon("node01").await, stand.daemon("node02").await);
    let task = create(&*asked.store, upgrade(1, "node02", START)).await;
    for store in [&asked.store, &its_node.store] {
        for node in ["node01", "node02"] {
            let again = ok(store.create(vec![upgrade(1, node, START)]).await);
            assert_eq!(again, [Created::AlreadyLive(task)]);
        }
        assert_eq!(ok(store.withdraw(&[task]).await), 0);
    }
    assert_eq!(ok(asked.store.claim("node02", 9, START).await), []);
    let claimed = ok(its_node.store.claim("node02", 9, START).await);
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].order, Ok(order(1)));
    assert!(!ok(asked.store.begin_installer(task, None, START).await));
    assert!(ok(its_node.store.begin_installer(task, None, START).await));
}
