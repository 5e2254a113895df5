//! A node that dies at every step of a task's life, and what others and its own next run
//! make of it.

use wpk_api::{
    Claimed, Confirmation, Mover, Overdue, Selector, Status, Task, TaskId, TaskStore,
    TimelineEntry, TimelineStep, Transition, TransitionResult,
};

use crate::store_suite::stand::{Daemon, Stand, clock};
use crate::store_suite::tasks::{START, TARGET, agent, create, ok, to, upgrade};

/// The steps of a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Created,
    Claimed,
    Begun,
    Ended,
}

const STEPS: [Step; 4] = [Step::Created, Step::Claimed, Step::Begun, Step::Ended];

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    for step in STEPS {
        another_node_goes_on(&make().await, step).await;
        its_next_run_goes_on(&make().await, step).await;
        the_taker_dies_as_well(&make().await, step).await;
    }
    what_was_begun_times_out_and_is_corrected(&make().await).await;
}

/// A task of agent 1 that has come as far as that.
async fn live_until(daemon: &Daemon, last: Step) -> TaskId {
    let (store, node) = (&*daemon.store, daemon.node.as_str());
    let task = create(store, upgrade(1, node, START)).await;
    if last >= Step::Claimed {
        assert_eq!(ok(store.claim(node, 9, START).await).len(), 1);
    }
    if last >= Step::Begun {
        assert!(ok(store.begin_installer(task, Some(TARGET), START).await));
    }
    if last >= Step::Ended {
        report(store, task, Status::Done).await;
    }
    task
}

/// The agent's word, passed on by whichever daemon has this store.
async fn report(store: &dyn TaskStore, task: TaskId, status: Status) -> Task {
    let word = Transition {
        select: Selector::SpokenOf(agent(1)),
        by: Mover::Report,
        entry: Some(TimelineEntry::new(START, TimelineStep::Report)),
        ..to(task, status.clone(), "whoever", START)
    };
    match ok(store.transition(vec![word]).await).as_slice() {
        [TransitionResult::Moved(moved)] if moved.id == task && moved.status == status => {
            moved.clone()
        }
        other => panic!("an agent's word counts whoever passes it on: {other:?}"),
    }
}

async fn another_node_goes_on(stand: &Stand, last: Step) {
    let taker = stand.daemon("node02").await;
    let dead = stand.daemon("node01").await;
    let task = live_until(&dead, last).await;
    let died = dead.kill();
    // Nobody waits for less than its lease.
    assert_eq!(ok(taker.store.orphans(TaskId(0), 9).await), []);
    stand.outlive(&[&taker]).await;
    let free = last <= Step::Claimed;
    let orphans = ok(taker.store.orphans(TaskId(0), 9).await);
    assert_eq!(orphans.len(), usize::from(free), "{last:?}: {orphans:?}");
    let taken = ok(taker.store.take_over(&[task]).await);
    assert_eq!(taken.len(), usize::from(free), "{last:?}");
    let claimed = ok(taker.store.claim("node02", 9, START).await);
    assert_eq!(claimed.len(), usize::from(free), "{last:?}: {claimed:?}");
    let begun = ok(taker.store.begin_installer(task, Some(TARGET), START).await);
    assert_eq!(begun, free, "{last:?}: begun at most once");
    let by = match free {
        true => taker.entered.incarnation,
        false => died,
    };
    assert_eq!(ok(taker.store.begun(task).await), Some(by));
    if last <= Step::Begun {
        let ended = report(&*taker.store, task, Status::Done).await;
        assert_eq!(ended.confirmation, Some(Confirmation::Awaited));
    }
    create(&*taker.store, upgrade(1, "node02", START)).await;
}

async fn its_next_run_goes_on(stand: &Stand, last: Step) {
    let other = stand.daemon("node02").await;
    let first = stand.daemon("node01").await;
    let task = live_until(&first, last).await;
    let second = stand.start("node01", Some(first.kill())).await;
    assert_eq!(ok(other.store.orphans(TaskId(0), 9).await), [], "it lives");
    let claimed = ok(second.store.claim("node01", 9, START).await);
    assert_eq!(claimed.len(), usize::from(last == Step::Created));
    if last == Step::Created {
        assert!(ok(second.store.begin_installer(task, None, START).await));
        return;
    }
    let interrupted = ok(second.store.interrupted("node01", true).await);
    let expected = usize::from(last == Step::Claimed);
    assert_eq!(interrupted.len(), expected, "{last:?}: {interrupted:?}");
    assert!(interrupted.iter().all(|one| one.crashes == 1));
    let begun = ok(second.store.begin_installer(task, None, START).await);
    assert_eq!(begun, last == Step::Claimed, "{last:?}");
}

/// A third goes on where the second stood; the crashes of the first stay counted.
async fn the_taker_dies_as_well(stand: &Stand, last: Step) {
    let third = stand.daemon("node03").await;
    let first = stand.daemon("node01").await;
    let task = live_until(&first, last).await;
    ok(first.store.interrupted("node01", true).await);
    first.kill();
    let second = stand.daemon("node02").await;
    stand.outlive(&[&third, &second]).await;
    let free = last <= Step::Claimed;
    assert_eq!(
        ok(second.store.take_over(&[task]).await).len(),
        usize::from(free)
    );
    let claimed = ok(second.store.claim("node02", 9, START).await);
    let crashes = |claimed: &[Claimed]| claimed.first().map(|one| one.crashes);
    let counted = u32::from(last == Step::Claimed);
    assert_eq!(crashes(&claimed), free.then_some(counted), "{last:?}");
    second.kill();
    stand.outlive(&[&third]).await;
    assert_eq!(
        ok(third.store.take_over(&[task]).await).len(),
        usize::from(free)
    );
    let claimed = ok(third.store.claim("node03", 9, START).await);
    assert_eq!(crashes(&claimed), free.then_some(counted), "{last:?}");
    let timeline = ok(third.store.timeline(task).await);
    let moved = (timeline.iter()).filter(|one| one.step == TimelineStep::Moved);
    let moved: Vec<_> = moved.filter_map(|one| one.asked.as_deref()).collect();
    match free {
        true => assert_eq!(moved, ["node02", "node03"]),
        false => assert_eq!(moved, [""; 0]),
    }
}

async fn what_was_begun_times_out_and_is_corrected(stand: &Stand) {
    let other = stand.daemon("node02").await;
    let dead = stand.daemon("node01").await;
    let task = live_until(&dead, Step::Begun).await;
    dead.kill();
    stand.outlive(&[&other]).await;
    let running = ok(other.store.in_progress(TaskId(0), 9).await);
    assert_eq!(running.len(), 1, "{running:?}");
    let overdue = Overdue {
        task,
        updated: running[0].updated,
    };
    let expired = ok(other.store.expire(&[overdue], START).await);
    assert_eq!(expired.len(), 1, "whoever sees it first ends it");
    assert!(expired[0].updated > running[0].updated);
    let late = report(&*other.store, task, Status::Failed).await;
    assert_eq!(late.updated, Some(clock(&*other.store).await));
}
