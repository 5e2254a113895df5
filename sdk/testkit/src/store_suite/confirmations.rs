//! Whether agents run what they were sent: which tasks await a verdict, and what
//! becomes of it.

use std::sync::Arc;

use wpk_api::{
    Awaiting, Confirmation, Mover, Overdue, Status, Task, TaskId, TaskStore, TimelineEntry,
    TimelineStep, Transition, Version,
};

use super::tasks::{START, TARGET, agent, bare, create, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    what_was_sent_with_its_version_is_awaited(&*make().await).await;
    a_verdict_is_final(&*make().await).await;
    a_late_word_is_awaited_too(&*make().await).await;
    a_later_installer_is_told_of(&*make().await).await;
    what_is_awaited_comes_in_pages(&*make().await).await;
}

/// A task whose installer was begun, with this target.
async fn begin(store: &dyn TaskStore, id: u32, target: Option<Version>) -> TaskId {
    let task = create(store, upgrade(id, "node01", START)).await;
    ok(store.claim("node01", 99, START).await);
    assert!(ok(store.begin_installer(task, target, START + 1).await));
    task
}

/// The agent says how it went.
async fn said(store: &dyn TaskStore, task: TaskId, status: Status) {
    let word = Transition {
        by: Mover::Report,
        ..to(task, status, "node01", START + 2)
    };
    ok(store.transition(vec![word]).await);
}

/// The newest task of an agent.
async fn newest(store: &dyn TaskStore, id: u32) -> Task {
    match ok(store.latest(&[agent(id)]).await).pop().flatten() {
        Some(task) => task,
        None => panic!("agent {id} has no task"),
    }
}

async fn awaited(store: &dyn TaskStore) -> Vec<Awaiting> {
    ok(store.awaiting("node01", TaskId(0), 99).await)
}

fn verdict(at: i64) -> TimelineEntry {
    TimelineEntry::new(at, TimelineStep::Confirm).detail("sent v4.14.9, seen v4.7.0")
}

async fn what_was_sent_with_its_version_is_awaited(store: &dyn TaskStore) {
    let sent = begin(store, 1, Some(TARGET)).await;
    let unknown = begin(store, 2, None).await;
    let failed = begin(store, 3, Some(TARGET)).await;
    let legacy = begin(store, 4, Some(TARGET)).await;
    assert_eq!(awaited(store).await, [], "they run");
    for task in [sent, unknown] {
        said(store, task, Status::Done).await;
    }
    said(store, failed, Status::Failed).await;
    said(store, legacy, Status::Legacy).await;
    let foreign = create(store, bare(5, "node01", START)).await;
    for status in [Status::InProgress, Status::Done] {
        ok(store
            .transition(vec![to(foreign, status, "node01", START)])
            .await);
    }
    let mut confirmations = Vec::new();
    for id in 1..=5 {
        confirmations.push(newest(store, id).await.confirmation);
    }
    assert_eq!(
        confirmations,
        [
            Some(Confirmation::Awaited),
            Some(Confirmation::NotChecked),
            None,
            Some(Confirmation::NotChecked),
            None,
        ]
    );
    let task = newest(store, 1).await;
    assert_eq!(task.updated, Some(START + 2), "since when");
    let one = Awaiting {
        task,
        target: TARGET,
        next: None,
    };
    assert_eq!(awaited(store).await, [one]);
    assert_eq!(ok(store.awaiting("node02", TaskId(0), 99).await), []);
}

async fn a_verdict_is_final(store: &dyn TaskStore) {
    let task = begin(store, 1, Some(TARGET)).await;
    let seen = Confirmation::Unconfirmed("v4.7.0, after 600 s".to_owned());
    let confirm = |what: &Confirmation, at| store.confirm(task, what.clone(), verdict(at));
    assert!(!ok(confirm(&seen, START).await), "it runs");
    let unknown = TaskId(task.0 + 1);
    assert!(!ok(store
        .confirm(unknown, seen.clone(), verdict(START))
        .await));
    said(store, task, Status::Done).await;
    let before = ok(store.timeline(task).await);
    assert!(ok(confirm(&seen, START + 3).await));
    assert!(!ok(confirm(&Confirmation::Confirmed, START + 4).await));
    let now = newest(store, 1).await;
    assert_eq!(
        (now.status, now.confirmation, now.updated),
        (Status::Done, Some(seen), Some(START + 2)),
        "nothing but the verdict changes"
    );
    assert_eq!(awaited(store).await, []);
    let timeline = ok(store.timeline(task).await);
    assert_eq!(timeline, [&before[..], &[verdict(START + 3)]].concat());
    // Without a version there is nothing to be confirmed.
    let task = begin(store, 2, None).await;
    said(store, task, Status::Done).await;
    let confirmed = store.confirm(task, Confirmation::Confirmed, verdict(START));
    assert!(!ok(confirmed.await));
}

async fn a_late_word_is_awaited_too(store: &dyn TaskStore) {
    let task = begin(store, 1, Some(TARGET)).await;
    let updated = newest(store, 1).await.updated;
    let overdue = Overdue { task, updated };
    assert_eq!(ok(store.expire(&[overdue], START + 900).await).len(), 1);
    assert_eq!(newest(store, 1).await.confirmation, None);
    said(store, task, Status::Done).await;
    assert_eq!(awaited(store).await.len(), 1);
}

async fn a_later_installer_is_told_of(store: &dyn TaskStore) {
    let first = begin(store, 1, Some(TARGET)).await;
    said(store, first, Status::Done).await;
    let next = async || {
        awaited(store)
            .await
            .pop()
            .map(|one| (one.task.id, one.next))
    };
    let second = create(store, upgrade(1, "node01", START)).await;
    begin(store, 2, None).await;
    assert_eq!(next().await, Some((first, None)), "another agent's");
    ok(store.claim("node01", 9, START).await);
    assert_eq!(next().await, Some((first, None)), "it was not begun");
    assert!(ok(store.begin_installer(second, None, START).await));
    assert_eq!(next().await, Some((first, Some(second))));
    said(store, second, Status::Failed).await;
    begin(store, 1, None).await;
    assert_eq!(next().await, Some((first, Some(second))), "the first later");
}

async fn what_is_awaited_comes_in_pages(store: &dyn TaskStore) {
    let mut tasks = Vec::new();
    for id in 1..=5 {
        let task = begin(store, id, Some(TARGET)).await;
        said(store, task, Status::Done).await;
        tasks.push(task);
    }
    let mut met = Vec::new();
    loop {
        let after = met.last().copied().unwrap_or(TaskId(0));
        let page = ok(store.awaiting("node01", after, 2).await);
        assert!(page.len() <= 2, "two were asked for: {page:?}");
        if page.is_empty() {
            break;
        }
        met.extend(page.into_iter().map(|one| one.task.id));
    }
    assert_eq!(met, tasks);
    assert_eq!(ok(store.purge(START).await), 5);
    assert_eq!(awaited(store).await, [], "it goes with its task");
}
