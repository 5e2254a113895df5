//! Clocks that differ, and commits of which nobody knows whether they took effect: the
//! caller asks again, and is told what is so.

use std::sync::Arc;

use wpk_api::{
    Created, Mover, Overdue, Status, StoreError, StoreResult, TaskId, TaskStore, TimelineEntry,
    TimelineStep, Transition, TransitionResult, UnixTime,
};

use crate::memory::{Lossy, Lost, StoreAround};
use crate::store_suite::stand::{Daemon, Stand, clock};
use crate::store_suite::tasks::{START, TARGET, agent, create, ok, to, upgrade};

/// How far the callers' clocks are apart, in seconds.
const HOUR: i64 = 3_600;

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Stand) {
    clocks_apart_by_an_hour_change_no_time(&make().await).await;
    for lost in [Lost::Question, Lost::Answer] {
        a_lost_create_is_asked_about(&make().await, lost).await;
        a_lost_claim_is_asked_about(&make().await, lost).await;
        a_lost_begin_is_asked_about(&make().await, lost).await;
        a_lost_move_is_asked_about(&make().await, lost).await;
        a_lost_take_over_is_asked_about(&make().await, lost).await;
    }
}

async fn clocks_apart_by_an_hour_change_no_time(stand: &Stand) {
    let (fast, slow) = (stand.daemon("node01").await, stand.daemon("node02").await);
    let begin = clock(&*fast.store).await;
    let ahead = |now: UnixTime| now + HOUR;
    let behind = |now: UnixTime| now - HOUR;
    let task = create(&*fast.store, upgrade(1, "node01", ahead(begin))).await;
    let claimed = ok(fast.store.claim("node01", 9, ahead(begin)).await);
    assert_eq!(claimed.len(), 1);
    ok(fast.store.touch(&[task], ahead(begin)).await);
    let wait = |at| vec![(task, TimelineEntry::new(at, TimelineStep::Wait))];
    ok(fast.store.note(wait(ahead(begin))).await);
    ok(slow.store.note(wait(behind(begin))).await);
    let target = Some(TARGET);
    assert!(ok(fast
        .store
        .begin_installer(task, target, ahead(begin))
        .await));
    let running = ok(slow.store.in_progress(TaskId(0), 9).await);
    let overdue = |at| Overdue {
        task,
        updated: Some(at),
    };
    // As the caller sees it, not as its clock would say.
    let unseen = [overdue(ahead(begin))];
    assert_eq!(ok(slow.store.expire(&unseen, behind(begin)).await), []);
    let seen: Vec<_> = running.iter().filter_map(|task| task.updated).collect();
    let expired = ok(slow.store.expire(&[overdue(seen[0])], behind(begin)).await);
    assert_eq!(expired.len(), 1);
    let word = Transition {
        by: Mover::Report,
        entry: Some(TimelineEntry::new(behind(begin), TimelineStep::Report)),
        ..to(task, Status::Done, "node02", behind(begin))
    };
    ok(slow.store.transition(vec![word]).await);
    let end = clock(&*slow.store).await;
    let ours = begin..=end;
    let found = ok(fast.store.tasks(&[task]).await);
    let [Some(found)] = found.as_slice() else {
        panic!("the task is there: {found:?}");
    };
    assert_eq!(found.status, Status::Done);
    assert!(ours.contains(&found.created), "{found:?} is of {ours:?}");
    let updated = found.updated.unwrap_or_default();
    assert!(ours.contains(&updated), "{found:?} is of {ours:?}");
    let timeline = ok(slow.store.timeline(task).await);
    for entry in &timeline {
        assert!(ours.contains(&entry.at), "{entry:?} is of {ours:?}");
    }
    assert!(timeline.len() >= 5, "{timeline:?}");
    assert_eq!(ok(slow.store.purge(begin - 1).await), 0);
    assert_eq!(ok(slow.store.purge(end).await), 1);
}

/// A daemon whose connection loses commits.
struct Unlucky {
    daemon: Daemon,
    gate: Arc<Lossy>,
}

impl Unlucky {
    async fn of(stand: &Stand) -> Self {
        let mut daemon = stand.daemon("node01").await;
        let gate = Arc::new(Lossy::default());
        daemon.store = Arc::new(StoreAround {
            gate: Arc::clone(&gate),
            inside: daemon.store,
        });
        Self { daemon, gate }
    }

    fn store(&self) -> &dyn TaskStore {
        &*self.daemon.store
    }
}

#[track_caller]
fn uncertain<T: std::fmt::Debug>(answer: StoreResult<T>) {
    assert!(
        matches!(answer, Err(StoreError::Uncertain(_))),
        "nobody knows whether it took effect: {answer:?}"
    );
}

async fn a_lost_create_is_asked_about(stand: &Stand, lost: Lost) {
    let unlucky = Unlucky::of(stand).await;
    unlucky.gate.lose("create", lost);
    let new = || vec![upgrade(1, "node01", START)];
    uncertain(unlucky.store().create(new()).await);
    let found = ok(unlucky.store().latest(&[agent(1)]).await);
    let again = ok(unlucky.store().create(new()).await);
    match (found.as_slice(), again.as_slice()) {
        ([None], [Created::Task(_)]) => assert_eq!(lost, Lost::Question),
        ([Some(task)], [Created::AlreadyLive(live)]) => {
            assert_eq!((lost, task.id), (Lost::Answer, *live));
        }
        other => panic!("{lost:?} was lost: {other:?}"),
    }
    assert_eq!(ok(unlucky.store().claim("node01", 9, START).await).len(), 1);
}

async fn a_lost_claim_is_asked_about(stand: &Stand, lost: Lost) {
    let unlucky = Unlucky::of(stand).await;
    let task = create(unlucky.store(), upgrade(1, "node01", START)).await;
    unlucky.gate.lose("claim", lost);
    uncertain(unlucky.store().claim("node01", 9, START).await);
    // What was taken and not begun by who asks is found; the rest still waits.
    let interrupted = ok(unlucky.store().interrupted("node01", false).await);
    assert_eq!(interrupted.len(), usize::from(lost == Lost::Answer));
    let claimed = ok(unlucky.store().claim("node01", 9, START).await);
    assert_eq!(claimed.len(), usize::from(lost == Lost::Question));
    let both = [interrupted, claimed].concat();
    assert_eq!((both[0].task.id, both[0].crashes), (task, 0));
}

async fn a_lost_begin_is_asked_about(stand: &Stand, lost: Lost) {
    let unlucky = Unlucky::of(stand).await;
    let task = create(unlucky.store(), upgrade(1, "node01", START)).await;
    ok(unlucky.store().claim("node01", 9, START).await);
    assert_eq!(ok(unlucky.store().begun(task).await), None);
    unlucky.gate.lose("begin_installer", lost);
    uncertain(unlucky.store().begin_installer(task, None, START).await);
    let begun = ok(unlucky.store().begun(task).await);
    let mine = unlucky.daemon.entered.incarnation;
    assert_eq!(begun, (lost == Lost::Answer).then_some(mine));
    let again = ok(unlucky.store().begin_installer(task, None, START).await);
    assert_eq!(again, lost == Lost::Question, "once");
}

async fn a_lost_move_is_asked_about(stand: &Stand, lost: Lost) {
    let unlucky = Unlucky::of(stand).await;
    let task = create(unlucky.store(), upgrade(1, "node01", START)).await;
    ok(unlucky.store().claim("node01", 9, START).await);
    let failed = || vec![to(task, Status::Failed, "node01", START)];
    unlucky.gate.lose("transition", lost);
    uncertain(unlucky.store().transition(failed()).await);
    let again = ok(unlucky.store().transition(failed()).await);
    match again.as_slice() {
        [TransitionResult::Moved(_)] => assert_eq!(lost, Lost::Question),
        [TransitionResult::Refused(Some(task))] => {
            assert_eq!((lost, &task.status), (Lost::Answer, &Status::Failed));
        }
        other => panic!("{lost:?} was lost: {other:?}"),
    }
    let revision = ok(unlucky.store().revision().await);
    let changes = ok(unlucky.store().changes(wpk_api::Revision(0), 99).await);
    assert_eq!(changes.last().map(|last| last.revision), Some(revision));
}

async fn a_lost_take_over_is_asked_about(stand: &Stand, lost: Lost) {
    let unlucky = Unlucky::of(stand).await;
    let task = create(unlucky.store(), upgrade(1, "nobody", START)).await;
    unlucky.gate.lose("take_over", lost);
    uncertain(unlucky.store().take_over(&[task]).await);
    let left = ok(unlucky.store().orphans(TaskId(0), 9).await);
    assert_eq!(left.len(), usize::from(lost == Lost::Question));
    ok(unlucky.store().take_over(&[task]).await);
    assert_eq!(ok(unlucky.store().claim("node01", 9, START).await).len(), 1);
}
