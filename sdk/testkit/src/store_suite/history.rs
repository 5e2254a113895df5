//! What a store remembers of tasks: timelines, and the feed of changes with its
//! readers.

use std::sync::Arc;

use wpk_api::{
    Cancel, Cause, Change, Changed, Confirmation, LONGEST_TIMELINE, Mover, Overdue, Revision,
    Status, Task, TaskId, TaskStore, TimelineEntry, TimelineStep, Transition,
};

use super::tasks::{START, TARGET, agent, bare, create, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    a_timeline_tells_what_happened(&*make().await).await;
    a_timeline_is_bounded_and_goes_with_its_task(&*make().await).await;
    every_change_is_in_the_feed(&*make().await).await;
    what_a_reader_has_not_passed_outlives_its_task(&*make().await).await;
    a_place_only_goes_forward(&*make().await).await;
}

fn steps(timeline: &[TimelineEntry]) -> Vec<TimelineStep> {
    timeline.iter().map(|entry| entry.step).collect()
}

async fn a_timeline_tells_what_happened(store: &dyn TaskStore) {
    let task = create(store, upgrade(1, "node01", START)).await;
    let other = create(store, upgrade(2, "node01", START + 5)).await;
    let timeline = ok(store.timeline(task).await);
    assert_eq!(
        timeline,
        [TimelineEntry::new(START, TimelineStep::Created)],
        "a new task was created and nothing else"
    );
    ok(store.claim("node01", 1, START + 1).await);
    let cause = Cause::new(14, "it said \"no\" \u{1b}[2J", "look at the repository");
    let resolve = TimelineEntry::new(START + 2, TimelineStep::Resolve)
        .asked("https://example.org/wpk/versions")
        .failed(cause);
    let open = TimelineEntry::new(START + 3, TimelineStep::Open).detail("tried 2 times");
    ok(store
        .note(vec![
            (task, resolve.clone()),
            (TaskId(other.0 + 100), open.clone()),
            (task, open.clone()),
        ])
        .await);
    assert!(ok(store.begin_installer(task, None, START + 4).await));
    let report = TimelineEntry::new(START + 6, TimelineStep::Report).asked("agent 001");
    let word = Transition {
        by: Mover::Report,
        entry: Some(report.clone()),
        ..to(task, Status::Done, "node01", START + 6)
    };
    ok(store.transition(vec![word.clone()]).await);
    // A move that is refused adds nothing.
    ok(store.transition(vec![word]).await);
    assert_eq!(
        ok(store.timeline(task).await),
        [
            TimelineEntry::new(START, TimelineStep::Created),
            resolve,
            open,
            TimelineEntry::new(START + 4, TimelineStep::Upgrade),
            report,
        ]
    );
    ok(store.cancel("node01", Cancel::Pending, START + 7).await);
    assert_eq!(
        ok(store.timeline(other).await),
        [
            TimelineEntry::new(START + 5, TimelineStep::Created),
            TimelineEntry::new(START + 7, TimelineStep::Cancelled),
        ]
    );
    let third = create(store, upgrade(3, "node01", START + 8)).await;
    ok(store.claim("node01", 1, START + 8).await);
    let overdue = Overdue {
        task: third,
        updated: Some(START + 8),
    };
    ok(store.expire(&[overdue], START + 9).await);
    assert_eq!(
        steps(&ok(store.timeline(third).await)),
        [TimelineStep::Created, TimelineStep::Timeout]
    );
}

async fn a_timeline_is_bounded_and_goes_with_its_task(store: &dyn TaskStore) {
    let task = create(store, upgrade(1, "node01", START)).await;
    let entry = |n: usize| {
        let entry = TimelineEntry::new(START, TimelineStep::Write);
        (task, entry.detail(&n.to_string()))
    };
    ok(store
        .note((0..LONGEST_TIMELINE * 2).map(entry).collect())
        .await);
    let timeline = ok(store.timeline(task).await);
    assert!(timeline.len() <= LONGEST_TIMELINE, "{}", timeline.len());
    assert!(timeline.len() > LONGEST_TIMELINE / 2, "{}", timeline.len());
    let last = (LONGEST_TIMELINE * 2 - 1).to_string();
    let newest = timeline.last().and_then(|entry| entry.detail.as_deref());
    assert_eq!(newest, Some(last.as_str()), "the newest stay");
    ok(store.cancel("node01", Cancel::Pending, START).await);
    assert_eq!(ok(store.purge(START).await), 1);
    assert_eq!(ok(store.timeline(task).await), []);
    let withdrawn = create(store, bare(1, "node01", START)).await;
    ok(store.withdraw(&[withdrawn]).await);
    assert_eq!(ok(store.timeline(withdrawn).await), []);
    assert_eq!(ok(store.timeline(TaskId(withdrawn.0 + 1)).await), []);
}

/// Everything that changed after a revision, read in small pieces.
async fn feed(store: &dyn TaskStore, mut after: Revision) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    loop {
        let next = ok(store.changes(after, 2).await);
        assert!(next.len() <= 2, "two were asked for: {next:?}");
        let Some(last) = next.last() else { return all };
        assert!(next[0].revision > after, "{next:?} after {after:?}");
        after = last.revision;
        all.extend(next);
    }
}

async fn every_change_is_in_the_feed(store: &dyn TaskStore) {
    let start = ok(store.revision().await);
    assert_eq!(feed(store, start).await, []);
    ok(store.set_place("reader", start).await);
    let task = create(store, upgrade(1, "node01", START)).await;
    let mut seen: Vec<Task> = ok(store.latest(&[agent(1)]).await)
        .into_iter()
        .flatten()
        .collect();
    let mut look = async || seen.extend(ok(store.latest(&[agent(1)]).await).into_iter().flatten());
    ok(store.claim("node01", 1, START + 1).await);
    look().await;
    assert!(ok(store
        .begin_installer(task, Some(TARGET), START + 2)
        .await));
    look().await;
    ok(store.touch(&[task], START + 3).await);
    look().await;
    let word = Transition {
        by: Mover::Report,
        error_msg: Some("a text".to_owned()),
        ..to(task, Status::Done, "node01", START + 4)
    };
    ok(store.transition(vec![word]).await);
    look().await;
    let verdict = TimelineEntry::new(START + 5, TimelineStep::Confirm);
    assert!(ok(store
        .confirm(task, Confirmation::Confirmed, verdict)
        .await));
    look().await;
    let changes = feed(store, start).await;
    assert!(
        changes.is_sorted_by(|a, b| a.revision < b.revision),
        "{changes:?}"
    );
    assert_eq!(
        changes.last().map(|one| one.revision),
        Some(ok(store.revision().await))
    );
    let told: Vec<_> = changes.into_iter().map(|one| one.changed).collect();
    let seen: Vec<_> = seen.into_iter().map(Changed::Task).collect();
    assert_eq!(told, seen);
    // What does not change anything is none.
    let after = ok(store.revision().await);
    ok(store.touch(&[task], START + 9).await);
    ok(store.withdraw(&[task]).await);
    ok(store
        .note(vec![(task, TimelineEntry::new(START, TimelineStep::Wait))])
        .await);
    assert_eq!(feed(store, after).await, []);
    let gone = create(store, bare(2, "node01", START)).await;
    ok(store.withdraw(&[gone]).await);
    let changes = feed(store, after).await;
    assert_eq!(
        changes.last().map(|one| &one.changed),
        Some(&Changed::Deleted(gone))
    );
}

async fn what_a_reader_has_not_passed_outlives_its_task(store: &dyn TaskStore) {
    let start = ok(store.revision().await);
    ok(store.set_place("mirror", start).await);
    let task = create(store, upgrade(1, "node01", START)).await;
    ok(store.cancel("node01", Cancel::Pending, START + 1).await);
    let before = feed(store, start).await;
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(ok(store.purge(START).await), 1);
    let after = feed(store, start).await;
    assert_eq!(after[..2], before[..], "what was not read is still told");
    assert_eq!(after[2].changed, Changed::Deleted(task));
    ok(store.set_place("mirror", after[2].revision).await);
    let other = create(store, upgrade(2, "node01", START)).await;
    ok(store.cancel("node01", Cancel::Pending, START + 1).await);
    assert_eq!(ok(store.purge(START).await), 1);
    let rest = feed(store, after[2].revision).await;
    assert_eq!(
        rest.last().map(|one| &one.changed),
        Some(&Changed::Deleted(other))
    );
}

async fn a_place_only_goes_forward(store: &dyn TaskStore) {
    assert_eq!(ok(store.place("mirror").await), Revision(0));
    ok(store.set_place("mirror", Revision(7)).await);
    ok(store.set_place("audit", Revision(3)).await);
    ok(store.set_place("mirror", Revision(5)).await);
    assert_eq!(ok(store.place("mirror").await), Revision(7));
    assert_eq!(ok(store.place("audit").await), Revision(3));
    let long = "x".repeat(65);
    for name in ["", long.as_str()] {
        assert!(
            store.set_place(name, Revision(1)).await.is_err(),
            "{name:?}"
        );
    }
}
