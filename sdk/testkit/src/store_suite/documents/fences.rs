//! Tasks that are made for documents.

use wpk_api::{
    Attempt, Changed, Created, DocumentWrite, NewDocument, Overdue, Revision, Status, TaskId,
    TaskStore, TimelineStep,
};

use super::writing::{delete, guard, made_for, put, statuses, write};
use crate::store_suite::tasks::{START, TARGET, agent, create, ok, to, upgrade};

pub(super) async fn tasks_are_made_while_the_guard_holds(store: &dyn TaskStore) {
    let version = put(store, write("a", None, 0, "")).await;
    let new = |id| vec![upgrade(id, "node01", START)];
    for wrong in [guard("a", version + 1), guard("b", version)] {
        assert_eq!(ok(store.create_guarded(new(1), wrong).await), None);
    }
    assert_eq!(ok(store.latest(&[agent(1)]).await), [None]);
    let created = ok(store.create_guarded(new(1), guard("a", version)).await);
    assert!(
        matches!(created.as_deref(), Some([Created::Task(_)])),
        "{created:?}"
    );
    put(store, write("a", Some(version), 0, "")).await;
    let late = store.create_guarded(new(2), guard("a", version));
    assert_eq!(ok(late.await), None);
}

pub(super) async fn a_task_is_made_for_the_epoch_of_its_document(store: &dyn TaskStore) {
    put(store, write("a", None, 2, "")).await;
    let new = vec![
        made_for("a", 1, 1),
        made_for("a", 2, 2),
        made_for("a", 3, 3),
        made_for("b", 2, 4),
        upgrade(5, "node01", START),
    ];
    let created = ok(store.create(new).await);
    assert!(
        matches!(
            created[..],
            [
                Created::Fenced,
                Created::Task(_),
                Created::Fenced,
                Created::Fenced,
                Created::Task(_)
            ]
        ),
        "{created:?}"
    );
    let found = ok(store.latest(&[1, 2, 3, 4].map(agent)).await);
    assert_eq!(found.iter().flatten().count(), 1);
    // A task for it is like any other.
    let claimed = ok(store.claim("node01", 9, START).await);
    let task = claimed[0].task.id;
    assert!(ok(store.begin_installer(task, None, START).await));
}

/// A task of each kind that was made for a document: one that waits, one that was taken,
/// one begun, one ended.
async fn of_each_kind(store: &dyn TaskStore, key: &str, epoch: u64) -> [TaskId; 4] {
    let mut tasks = [TaskId(0); 4];
    for (at, id) in (11..).zip([1, 2, 3, 0]) {
        tasks[id] = create(store, made_for(key, epoch, at)).await;
        if id != 0 {
            assert_eq!(ok(store.claim("node01", 9, START).await).len(), 1);
        }
    }
    assert!(ok(store
        .begin_installer(tasks[2], Some(TARGET), START)
        .await));
    let failed = to(tasks[3], Status::Failed, "node01", START);
    ok(store.transition(vec![failed]).await);
    tasks
}

async fn the_first_two_ended(store: &dyn TaskStore, tasks: &[TaskId; 4], before: Revision) {
    assert_eq!(
        statuses(store, tasks).await,
        ["Cancelled", "Cancelled", "In progress", "Failed"]
    );
    let told = ok(store.changes(before, 99).await);
    let mut told: Vec<TaskId> = (told.iter())
        .filter_map(|change| match &change.changed {
            Changed::Task(task) if task.updated.is_some() => Some(task.id),
            _ => None,
        })
        .collect();
    told.sort_unstable();
    let mut ended = [tasks[0], tasks[1]];
    ended.sort_unstable();
    assert_eq!(told, ended);
    let timeline = ok(store.timeline(tasks[1]).await);
    let last = timeline.last().map(|one| one.step);
    assert_eq!(last, Some(TimelineStep::Cancelled));
    for task in [tasks[0], tasks[1]] {
        assert!(!ok(store.begin_installer(task, None, START).await));
    }
    assert_eq!(ok(store.claim("node01", 9, START).await), []);
    // Their agents are free.
    for id in [11, 14] {
        create(store, upgrade(id, "node01", START)).await;
    }
}

pub(super) async fn a_raised_epoch_ends_what_was_not_begun(store: &dyn TaskStore) {
    let version = put(store, write("a", None, 1, "")).await;
    put(store, write("b", None, 1, "")).await;
    let other = create(store, made_for("b", 1, 1)).await;
    ok(store.claim("node01", 9, START).await);
    let tasks = of_each_kind(store, "a", 1).await;
    let version = put(store, write("a", Some(version), 1, "as it was")).await;
    assert_eq!(
        statuses(store, &tasks[..2]).await,
        ["Pending", "In progress"]
    );
    let before = ok(store.revision().await);
    let version = put(store, write("a", Some(version), 2, "")).await;
    the_first_two_ended(store, &tasks, before).await;
    assert_eq!(statuses(store, &[other]).await, ["In progress"]);
    // What is made with the new epoch is ended by the next.
    let task = create(store, made_for("a", 2, 15)).await;
    put(store, write("a", Some(version), 9, "")).await;
    assert_eq!(statuses(store, &[task]).await, ["Cancelled"]);
}

pub(super) async fn a_deleted_document_ends_what_was_not_begun(store: &dyn TaskStore) {
    // Epochs may be anything that grows.
    let epoch = 1 << 60;
    let version = put(store, write("a", None, epoch, "")).await;
    let tasks = of_each_kind(store, "a", epoch).await;
    let before = ok(store.revision().await);
    put(store, delete("a", Some(version))).await;
    the_first_two_ended(store, &tasks, before).await;
    let created = ok(store.create(vec![made_for("a", epoch, 30)]).await);
    assert_eq!(created, [Created::Fenced]);
}

pub(super) async fn what_a_document_keeps_is_not_purged(store: &dyn TaskStore) {
    let keeping = |expected, keeps_tasks| DocumentWrite {
        key: "a".to_owned(),
        expected,
        becomes: Some(NewDocument {
            epoch: 1,
            keeps_tasks,
            text: String::new(),
        }),
    };
    let version = put(store, keeping(None, true)).await;
    let kept = create(store, made_for("a", 1, 1)).await;
    let other = create(store, upgrade(2, "node01", START)).await;
    for task in [kept, other] {
        let cancelled = to(task, Status::Cancelled, "node01", START);
        ok(store.transition(vec![cancelled]).await);
    }
    assert_eq!(ok(store.purge(START).await), 1);
    assert_eq!(statuses(store, &[kept, other]).await, ["Cancelled"]);
    assert_eq!(ok(store.attempts("a", TaskId(0), 9).await).len(), 1);
    // As long as it may still be spoken of, a newer one of its agent stays as well.
    let silent = create(store, made_for("a", 1, 3)).await;
    ok(store.claim("node01", 9, START).await);
    let overdue = Overdue {
        task: silent,
        updated: Some(START),
    };
    assert_eq!(ok(store.expire(&[overdue], START).await).len(), 1);
    let newer = create(store, upgrade(3, "node01", START)).await;
    let cancelled = to(newer, Status::Cancelled, "node01", START);
    ok(store.transition(vec![cancelled]).await);
    assert_eq!(ok(store.purge(START).await), 0);
    put(store, keeping(Some(version), false)).await;
    assert_eq!(ok(store.purge(START).await), 3);
    assert_eq!(ok(store.attempts("a", TaskId(0), 9).await), []);
}

pub(super) async fn attempts_are_found_by_their_document(store: &dyn TaskStore) {
    let version = put(store, write("a", None, 1, "")).await;
    put(store, write("a%", None, 1, "")).await;
    create(store, made_for("a%", 1, 1)).await;
    create(store, upgrade(2, "node01", START)).await;
    ok(store.claim("node01", 9, START).await);
    let mut tasks = of_each_kind(store, "a", 1).await.to_vec();
    put(store, write("a", Some(version), 2, "")).await;
    tasks.push(create(store, made_for("a", 2, 5)).await);
    tasks.sort_unstable();
    let found = ok(store.attempts("a", TaskId(0), 99).await);
    let ids: Vec<TaskId> = found.iter().map(|one| one.task.id).collect();
    assert_eq!(ids, tasks);
    assert_eq!(ok(store.attempts("a", TaskId(0), 2).await), found[..2]);
    assert_eq!(ok(store.attempts("a", tasks[1], 99).await), found[2..]);
    let now = ok(store.tasks(&tasks).await);
    for (attempt, task) in found.iter().zip(now.into_iter().flatten()) {
        let begun = task.status == Status::InProgress;
        let expected = Attempt {
            key: "a".to_owned(),
            epoch: if task.id == tasks[4] { 2 } else { 1 },
            begun,
            target: begun.then_some(TARGET),
            opens: 0,
            closes: None,
            begun_at: task.updated.filter(|_| begun),
            staged: false,
            mark: String::new(),
            task,
        };
        assert_eq!(attempt, &expected);
    }
    assert_eq!(ok(store.attempts("b", TaskId(0), 9).await), []);
}
