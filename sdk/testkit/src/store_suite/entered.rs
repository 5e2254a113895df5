//! What is so in every store once a daemon entered it: what of the tasks it carries out,
//! and what it may take over. Who holds a name, and for how long, is told in
//! [`super::shared`].

use std::sync::Arc;

use wpk_api::{
    Cancel, Changed, Mover, Overdue, Status, Task, TaskId, TaskStore, TimelineStep, Transition,
    TransitionResult,
};

use super::stand::entered;
use super::tasks::{START, agent, bare, create, held, ok, order, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    each_entry_is_newer(&*make().await).await;
    what_is_ours_is_its_own_node_s(&*make().await).await;
    what_is_not_ours_is_whoever_s_names_its_node(&*make().await).await;
    a_word_and_a_time_out_count_from_anywhere(&*make().await).await;
    who_began_an_installer_is_known(&*make().await).await;
    what_a_former_name_left_is_taken_over(&*make().await).await;
    nothing_else_is_taken_over(&*make().await).await;
    nothing_is_given_to_who_is_not_there(&*make().await).await;
}

async fn each_entry_is_newer(store: &dyn TaskStore) {
    let first = entered(store, "node01", None).await;
    assert!(first.incarnation > 0, "they are counted: {first:?}");
    // The daemon behind this store starts anew, and knows that it ended.
    let second = entered(store, "node01", Some(first.incarnation)).await;
    assert!(second.incarnation > first.incarnation, "{second:?}");
    create(store, upgrade(1, "node01", START)).await;
    ok(store.renew().await);
    ok(store.leave().await);
}

/// A move that nobody but its own node makes.
fn failed(task: TaskId, node: &str) -> Vec<Transition> {
    vec![to(task, Status::Failed, node, START + 9)]
}

async fn what_is_ours_is_its_own_node_s(store: &dyn TaskStore) {
    let its_own = entered(store, "node02", None).await;
    let waiting = create(store, upgrade(1, "node02", START)).await;
    let said = create(store, upgrade(2, "node02", START)).await;
    let taken = create(store, upgrade(3, "node02", START)).await;
    let said_so = to(said, Status::InProgress, "node02", START);
    ok(store.transition(vec![said_so]).await);
    ok(store.claim("node02", 3, START).await);
    let later = create(store, upgrade(4, "node02", START)).await;
    let all = [waiting, said, taken, later];
    let before = ok(store.tasks(&all).await);
    // Under another name they are another's, whatever it says.
    entered(store, "node01", None).await;
    for node in ["node01", "node02"] {
        assert_eq!(ok(store.claim(node, 9, START + 1).await), []);
        assert_eq!(ok(store.interrupted(node, true).await), []);
        assert_eq!(ok(store.cancel(node, Cancel::NotBegun, START + 1).await), 0);
        for task in all {
            let moved = ok(store.transition(failed(task, node)).await);
            assert!(
                matches!(moved[..], [TransitionResult::Refused(Some(_))]),
                "{moved:?}"
            );
        }
    }
    for task in all {
        assert!(!ok(store.begin_installer(task, None, START + 1).await));
    }
    ok(store.touch(&all, START + 1).await);
    assert_eq!(ok(store.tasks(&all).await), before);
    // Back under the former one they are its own again.
    entered(store, "node02", Some(its_own.incarnation)).await;
    let interrupted = ok(store.interrupted("node02", false).await);
    assert_eq!(interrupted.len(), 3);
    assert!(interrupted.iter().all(|one| one.crashes == 0));
    assert!(ok(store.begin_installer(taken, None, START + 1).await));
    assert_eq!(ok(store.claim("node02", 9, START + 1).await).len(), 1);
    let moved = ok(store.transition(failed(said, "node02")).await);
    assert!(
        matches!(moved[..], [TransitionResult::Moved(_)]),
        "{moved:?}"
    );
    assert_eq!(
        ok(store.cancel("node02", Cancel::NotBegun, START + 1).await),
        2
    );
}

/// As the task socket has always had it.
async fn what_is_not_ours_is_whoever_s_names_its_node(store: &dyn TaskStore) {
    entered(store, "node01", None).await;
    for (n, new) in [bare(1, "node02", START), held(2, "node02", START)]
        .into_iter()
        .enumerate()
    {
        let task = create(store, new).await;
        let begin = |node| vec![to(task, Status::InProgress, node, START + 1)];
        let refused = ok(store.transition(begin("node01")).await);
        assert!(matches!(refused[..], [TransitionResult::Refused(Some(_))]));
        let moved = ok(store.transition(begin("node02")).await);
        assert!(
            matches!(moved[..], [TransitionResult::Moved(_)]),
            "task {n}: {moved:?}"
        );
        ok(store.touch(&[task], START + 2).await);
        let moved = ok(store.transition(failed(task, "node01")).await);
        assert!(
            matches!(&moved[..], [TransitionResult::Moved(_)]),
            "{moved:?}"
        );
    }
    create(store, bare(3, "node02", START)).await;
    let cancelled = store.cancel("node02", Cancel::WithoutOrder, START + 1);
    assert_eq!(ok(cancelled.await), 1);
}

async fn a_word_and_a_time_out_count_from_anywhere(store: &dyn TaskStore) {
    entered(store, "node02", None).await;
    let mut tasks = Vec::new();
    for n in 1..=2 {
        let task = create(store, upgrade(n, "node02", START)).await;
        ok(store.claim("node02", 9, START).await);
        assert!(ok(store.begin_installer(task, None, START).await));
        tasks.push(task);
    }
    entered(store, "node01", None).await;
    let running = ok(store.in_progress(TaskId(0), 9).await);
    let overdue = Overdue {
        task: tasks[0],
        updated: running.first().and_then(|task| task.updated),
    };
    let expired = ok(store.expire(&[overdue], START + 1).await);
    assert_eq!(expired.len(), 1, "a time-out: {expired:?}");
    for task in tasks {
        let word = Transition {
            by: Mover::Report,
            ..to(task, Status::Done, "node01", START + 2)
        };
        let moved = ok(store.transition(vec![word]).await);
        assert!(
            matches!(moved[..], [TransitionResult::Moved(_)]),
            "{moved:?}"
        );
    }
}

async fn who_began_an_installer_is_known(store: &dyn TaskStore) {
    let first = entered(store, "node01", None).await;
    let task = create(store, upgrade(1, "node01", START)).await;
    ok(store.claim("node01", 9, START).await);
    assert_eq!(ok(store.begun(task).await), None);
    assert!(ok(store.begin_installer(task, None, START).await));
    let second = entered(store, "node01", Some(first.incarnation)).await;
    assert!(second.incarnation > first.incarnation);
    assert!(!ok(store.begin_installer(task, None, START).await));
    assert_eq!(ok(store.begun(task).await), Some(first.incarnation));
    ok(store.transition(failed(task, "node01")).await);
    assert_eq!(ok(store.begun(task).await), Some(first.incarnation));
    assert_eq!(ok(store.begun(TaskId(task.0 + 1)).await), None);
}

/// The name of a node that never entered is that of nobody who lives.
async fn what_a_former_name_left_is_taken_over(store: &dyn TaskStore) {
    let waiting = create(store, upgrade(1, "former", START)).await;
    let taken = create(store, upgrade(2, "former", START)).await;
    ok(store.claim("former", 9, START).await);
    ok(store.interrupted("former", true).await);
    let later = create(store, upgrade(3, "former", START)).await;
    let all = [waiting, taken, later];
    // Nothing is anybody's before it entered.
    assert_eq!(ok(store.orphans(TaskId(0), 9).await), []);
    assert_eq!(ok(store.take_over(&all).await), []);
    entered(store, "node01", None).await;
    let orphans = ok(store.orphans(TaskId(0), 9).await);
    let ids: Vec<TaskId> = orphans.iter().map(|task| task.id).collect();
    assert_eq!(ids, all);
    assert_eq!(ok(store.orphans(TaskId(0), 2).await), orphans[..2]);
    assert_eq!(ok(store.orphans(taken, 9).await), orphans[2..]);
    let revision = ok(store.revision().await);
    let asked = [later, TaskId(later.0 + 99), waiting, waiting, taken];
    let moved = ok(store.take_over(&asked).await);
    assert_eq!(moved, [later, waiting, taken], "in the given order, once");
    assert_eq!(ok(store.orphans(TaskId(0), 9).await), []);
    let told = ok(store.changes(revision, 9).await);
    let told: Vec<Changed> = told.into_iter().map(|change| change.changed).collect();
    let now = ok(store.tasks(&moved).await);
    let expected: Vec<Changed> = now.into_iter().flatten().map(Changed::Task).collect();
    assert_eq!(told, expected);
    for (before, now) in orphans.iter().zip(ok(store.tasks(&all).await)) {
        let expected = Task {
            node: "node01".to_owned(),
            ..before.clone()
        };
        assert_eq!(now, Some(expected), "nothing but its node is another");
    }
    let timeline = ok(store.timeline(later).await);
    let moved = timeline
        .last()
        .filter(|one| one.step == TimelineStep::Moved);
    let words = moved.map(|moved| (moved.asked.as_deref(), moved.detail.as_deref()));
    assert_eq!(words, Some((Some("node01"), Some("former before"))));
    assert!(timeline.last().is_some_and(|moved| moved.at > 0));
    // All wait to be taken, what was taken before as well.
    assert_eq!(ok(store.interrupted("node01", false).await), []);
    let claimed = ok(store.claim("node01", 9, START + 5).await);
    let ids: Vec<TaskId> = claimed.iter().map(|one| one.task.id).collect();
    assert_eq!(ids, all);
    assert_eq!(claimed[1].order, Ok(order(2)));
    assert_eq!([1, 1, 0], [0, 1, 2].map(|at| claimed[at].crashes));
}

async fn nothing_else_is_taken_over(store: &dyn TaskStore) {
    let begun = create(store, upgrade(1, "former", START)).await;
    let ended = create(store, upgrade(2, "former", START)).await;
    ok(store.claim("former", 9, START).await);
    assert!(ok(store.begin_installer(begun, None, START).await));
    ok(store.transition(failed(ended, "former")).await);
    let mut all = vec![begun, ended];
    for new in [
        bare(3, "former", START),
        held(4, "former", START),
        upgrade(5, "node01", START),
    ] {
        all.push(create(store, new).await);
    }
    entered(store, "node01", None).await;
    assert_eq!(ok(store.orphans(TaskId(0), 9).await), []);
    let before = ok(store.latest(&[1, 2, 3, 4, 5].map(agent)).await);
    assert_eq!(ok(store.take_over(&all).await), []);
    let after = ok(store.latest(&[1, 2, 3, 4, 5].map(agent)).await);
    assert_eq!(after, before);
}

async fn nothing_is_given_to_who_is_not_there(store: &dyn TaskStore) {
    entered(store, "node01", None).await;
    let task = create(store, upgrade(1, "node01", START)).await;
    for nobody in ["node02", "node01", ""] {
        assert_eq!(ok(store.hand_over(&[task], nobody).await), []);
    }
    assert_eq!(ok(store.claim("node01", 9, START).await).len(), 1);
}
