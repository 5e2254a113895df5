//! How tasks end and go, sentence by sentence: time-outs, cancelled and withdrawn
//! tasks, the clean-up of old ones.

use std::sync::Arc;

use wpk_api::{
    Cancel, Changed, Created, Mover, Overdue, Selector, Status, TaskId, TaskStore, Transition,
    TransitionResult,
};

use super::tasks::{START, Way, agent, arrive, bare, create, held, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    only_what_was_not_updated_expires(&*make().await).await;
    what_waits_to_be_taken_does_not_expire(&*make().await).await;
    cancel_and_withdraw_take_pending_tasks(&*make().await).await;
    what_a_node_holds_the_order_of_is_its_own_to_cancel(&*make().await).await;
    what_was_asked_first_ends_first(&*make().await).await;
    purged_ids_are_not_used_again(&*make().await).await;
    only_ended_tasks_are_purged(&*make().await).await;
    a_task_stays_while_an_older_one_takes_words(&*make().await).await;
}

async fn only_what_was_not_updated_expires(store: &dyn TaskStore) {
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(create(store, upgrade(n, "node01", START)).await);
    }
    ok(store.claim("node01", 3, START + 10).await);
    let running = ok(store.in_progress(TaskId(0), 99).await);
    assert_eq!(
        running.iter().map(|task| task.id).collect::<Vec<_>>(),
        ids[..3]
    );
    assert_eq!(ok(store.in_progress(TaskId(0), 2).await), running[..2]);
    assert_eq!(ok(store.in_progress(ids[1], 99).await), running[2..]);
    let mut overdue: Vec<Overdue> = (running.iter())
        .map(|task| Overdue {
            task: task.id,
            updated: task.updated,
        })
        .collect();
    overdue.push(Overdue {
        task: ids[3],
        updated: None,
    });
    ok(store.touch(&[ids[1], ids[3]], START + 20).await);
    ok(store
        .transition(vec![to(ids[2], Status::Failed, "node01", START + 10)])
        .await);
    let expired = ok(store.expire(&overdue, START + 30).await);
    let [task] = expired.as_slice() else {
        panic!("one of four tasks was In progress without an update: {expired:?}");
    };
    assert_eq!((task.id, &task.status), (ids[0], &Status::Timeout));
    assert_eq!(task.updated, Some(START + 30));
    let rest = ok(store.latest(&[1, 2, 3, 4].map(agent)).await);
    assert_eq!(rest[0].as_ref(), Some(task));
    let [_, Some(second), Some(third), Some(fourth)] = rest.as_slice() else {
        panic!("expiring deletes nothing: {rest:?}");
    };
    assert_eq!(second.updated, Some(START + 20));
    assert_eq!(third.status, Status::Failed);
    assert_eq!((&fourth.status, fourth.updated), (&Status::Pending, None));
    assert_eq!(ok(store.expire(&overdue, START + 40).await), []);
    create(store, upgrade(1, "node01", START + 31)).await;
}

/// Somebody said that it is In progress; nobody carries it out yet.
async fn what_waits_to_be_taken_does_not_expire(store: &dyn TaskStore) {
    let task = create(store, upgrade(1, "node01", START)).await;
    let moved = to(task, Status::InProgress, "node01", START + 10);
    ok(store.transition(vec![moved]).await);
    let overdue = |updated| Overdue {
        task,
        updated: Some(updated),
    };
    assert_eq!(
        ok(store.expire(&[overdue(START + 10)], START + 900).await),
        []
    );
    let claimed = ok(store.claim("node01", 1, START + 901).await);
    assert_eq!(claimed.len(), 1, "it went on waiting");
    let expired = ok(store.expire(&[overdue(START + 901)], START + 1_900).await);
    assert_eq!(expired.len(), 1, "whoever took it may be gone");
}

/// In the order of the call, not of the ids: in the answer, and in the feed.
async fn what_was_asked_first_ends_first(store: &dyn TaskStore) {
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(create(store, upgrade(n, "node01", START)).await);
    }
    let claimed = ok(store.claim("node01", 2, START).await);
    let (third, fourth) = (
        create(store, bare(5, "node01", START)).await,
        create(store, bare(6, "node01", START)).await,
    );
    let overdue = [ids[1], ids[0]].map(|task| Overdue {
        task,
        updated: Some(START),
    });
    assert_eq!(claimed.len(), overdue.len());
    let before = ok(store.revision().await);
    // So that nothing is forgotten.
    ok(store.set_place("a reader", before).await);
    let expired = ok(store.expire(&overdue, START + 1).await);
    let expired: Vec<TaskId> = expired.iter().map(|task| task.id).collect();
    assert_eq!(expired, [ids[1], ids[0]]);
    assert_eq!(ok(store.withdraw(&[fourth, third]).await), 2);
    let changes = ok(store.changes(before, 99).await);
    let told: Vec<TaskId> = (changes.iter())
        .map(|change| match &change.changed {
            Changed::Task(task) | Changed::Foreign(task) => task.id,
            Changed::Deleted(id) => *id,
        })
        .collect();
    assert_eq!(told, [ids[1], ids[0], fourth, third]);
}

async fn cancel_and_withdraw_take_pending_tasks(store: &dyn TaskStore) {
    let running = create(store, upgrade(1, "node01", START)).await;
    ok(store.claim("node01", 1, START).await);
    create(store, upgrade(2, "node01", START)).await;
    create(store, bare(2, "node01", START)).await;
    let other = create(store, bare(3, "node02", START)).await;
    let carried_out = create(store, upgrade(6, "node02", START)).await;
    let its_nodes = create(store, held(7, "node02", START)).await;
    let cancel = |which| store.cancel("node01", which, START + 1);
    assert_eq!(ok(cancel(Cancel::WithoutOrder).await), 1);
    assert_eq!(ok(cancel(Cancel::Pending).await), 1);
    assert_eq!(ok(cancel(Cancel::Pending).await), 0);
    let found = ok(store.latest(&[agent(2)]).await);
    let [Some(task)] = found.as_slice() else {
        panic!("cancelling deletes nothing: {found:?}");
    };
    assert_eq!(task.status, Status::Cancelled);
    assert_eq!(task.updated, Some(START + 1));
    let asked = [running, other, other, task.id, carried_out, its_nodes];
    assert_eq!(ok(store.withdraw(&asked).await), 1);
    let found = ok(store.latest(&[1, 3, 6, 7].map(agent)).await);
    assert!(
        matches!(found[..], [Some(_), None, Some(_), Some(_)]),
        "{found:?}"
    );
    // What was begun is the agent's; what was not is taken back.
    let begun = create(store, upgrade(4, "node01", START)).await;
    let foreign = create(store, bare(5, "node01", START)).await;
    ok(store.claim("node01", 1, START).await);
    ok(store
        .transition(vec![to(foreign, Status::InProgress, "node01", START)])
        .await);
    assert!(ok(store.begin_installer(begun, None, START).await));
    assert_eq!(ok(cancel(Cancel::NotBegun).await), 1);
    let found = ok(store.latest(&[agent(1), agent(4), agent(5)]).await);
    let statuses: Vec<_> = found.iter().flatten().map(|task| &task.status).collect();
    assert_eq!(
        statuses,
        [&Status::Cancelled, &Status::InProgress, &Status::InProgress]
    );
    let new = vec![upgrade(2, "node01", START), upgrade(3, "node01", START)];
    let created = ok(store.create(new).await);
    assert!(
        matches!(created[..], [Created::Task(_), Created::Task(_)]),
        "a cancelled and a withdrawn task keep nobody: {created:?}"
    );
}

async fn what_a_node_holds_the_order_of_is_its_own_to_cancel(store: &dyn TaskStore) {
    let waiting = create(store, held(1, "node02", START)).await;
    let foreign = create(store, bare(2, "node02", START)).await;
    // Whoever else starts on that node says that it forgot what waited.
    let cancel = |which| store.cancel("node02", which, START + 1);
    assert_eq!(ok(cancel(Cancel::Abandoned).await), 1);
    assert_eq!(ok(cancel(Cancel::WithoutOrder).await), 0);
    let found = ok(store.tasks(&[waiting, foreign]).await);
    let statuses: Vec<_> = found.iter().flatten().map(|task| &task.status).collect();
    assert_eq!(statuses, [&Status::Pending, &Status::Cancelled]);
    // It is not ours: nobody here claims it, and any word about it counts.
    assert_eq!(ok(store.claim("node02", 9, START).await), []);
    for status in [Status::InProgress, Status::Failed] {
        let moved = ok(store
            .transition(vec![to(waiting, status.clone(), "node02", START)])
            .await);
        assert!(
            matches!(&moved[..], [TransitionResult::Moved(task)] if task.status == status),
            "{moved:?}"
        );
    }
    // Its node takes back what waits.
    create(store, held(1, "node02", START)).await;
    assert_eq!(ok(cancel(Cancel::WithoutOrder).await), 0);
    assert_eq!(ok(cancel(Cancel::Pending).await), 1);
}

async fn purged_ids_are_not_used_again(store: &dyn TaskStore) {
    let many = (0..2_500).map(|n| bare(10 + n % 50, "node01", START));
    let created = ok(store.create(many.collect()).await);
    let Some(Created::Task(last)) = created.last() else {
        panic!("bare tasks are always created: {created:?}");
    };
    assert_eq!(
        ok(store.cancel("node01", Cancel::Pending, START).await),
        2_500
    );
    assert_eq!(ok(store.purge(START - 1).await), 0);
    assert_eq!(ok(store.purge(START).await), 2_500);
    assert_eq!(ok(store.latest(&[agent(1), agent(10)]).await), [None, None]);
    let next = create(store, upgrade(1, "node01", START + 1)).await;
    assert!(next > *last, "{next} after {last}: an id was used again");
    assert_eq!(ok(store.purge(START).await), 0);
}

async fn only_ended_tasks_are_purged(store: &dyn TaskStore) {
    for (n, status) in (1..).zip(Status::KNOWN) {
        arrive(store, n, &status, Way::Begun).await;
    }
    assert_eq!(ok(store.purge(START + 99).await), 5);
    let agents: Vec<_> = (1..=7).map(agent).collect();
    let left = ok(store.latest(&agents).await);
    let left: Vec<_> = left.iter().flatten().map(|task| &task.status).collect();
    assert_eq!(left, [&Status::Pending, &Status::InProgress]);
}

/// A clock that was set back makes newer tasks look older.
async fn a_task_stays_while_an_older_one_takes_words(store: &dyn TaskStore) {
    let mut ids = Vec::new();
    for created in [START + 100, START, START + 200] {
        let task = create(store, upgrade(1, "node01", created)).await;
        ok(store.claim("node01", 1, created).await);
        assert!(ok(store.begin_installer(task, None, created).await));
        let overdue = Overdue {
            task,
            updated: Some(created),
        };
        ok(store.expire(&[overdue], created + 1).await);
        ids.push(task);
    }
    assert_eq!(ok(store.purge(START + 50).await), 0);
    let word = Transition {
        select: Selector::SpokenOf(agent(1)),
        by: Mover::Report,
        ..to(ids[2], Status::Done, "node01", START + 300)
    };
    let moved = ok(store.transition(vec![word]).await);
    assert!(matches!(&moved[..], [TransitionResult::Moved(task)] if task.id == ids[2]));
    assert_eq!(
        ok(store.purge(START + 150).await),
        2,
        "both, the older first"
    );
    assert_eq!(ok(store.purge(START + 250).await), 1);
}
