//! Whose word counts, and when: reports of agents, early, late and about
//! another task.

use std::sync::Arc;

use wpk_api::{
    Mover, Overdue, Selector, Status, TaskId, TaskStore, TimelineEntry, TimelineStep, Transition,
    TransitionResult,
};

use super::tasks::{START, agent, bare, create, ok, to, upgrade};

/// All stories, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    a_word_before_the_installer_is_about_another_task(&*make().await).await;
    a_late_word_corrects_a_time_out(&*make().await).await;
    a_word_goes_to_the_newest_begun_task(&*make().await).await;
    a_word_that_names_its_task_goes_to_it_alone(&*make().await).await;
    a_word_to_a_task_of_another_program_is_as_in_4_x(&*make().await).await;
}

/// An agent's word that names no task.
fn said(id: u32, status: Status, at: i64) -> Transition {
    Transition {
        select: Selector::SpokenOf(agent(id)),
        by: Mover::Report,
        entry: Some(TimelineEntry::new(at, TimelineStep::Report)),
        ..to(TaskId(0), status, "another node", at)
    }
}

async fn hear(store: &dyn TaskStore, word: Transition) -> TransitionResult {
    let mut results = ok(store.transition(vec![word]).await);
    match results.pop() {
        Some(result) if results.is_empty() => result,
        other => panic!("one move has one result: {other:?}"),
    }
}

async fn begin(store: &dyn TaskStore, id: u32, at: i64) -> TaskId {
    let task = create(store, upgrade(id, "node01", at)).await;
    ok(store.claim("node01", 99, at).await);
    assert!(ok(store.begin_installer(task, None, at).await));
    task
}

async fn expire(store: &dyn TaskStore, task: TaskId, at: i64) {
    let running = ok(store.in_progress(TaskId(task.0 - 1), 1).await);
    let updated = running.first().and_then(|task| task.updated);
    let expired = ok(store.expire(&[Overdue { task, updated }], at).await);
    assert_eq!(expired.len(), 1, "{running:?}");
}

async fn a_word_before_the_installer_is_about_another_task(store: &dyn TaskStore) {
    let task = create(store, upgrade(1, "node01", START)).await;
    for status in [Status::Done, Status::Failed] {
        let early = hear(store, said(1, status.clone(), START)).await;
        assert_eq!(early, TransitionResult::Refused(None), "Pending");
        let named = Transition {
            select: Selector::Task(task),
            ..said(1, status, START)
        };
        let early = hear(store, named).await;
        assert!(
            matches!(early, TransitionResult::Refused(Some(_))),
            "{early:?}"
        );
    }
    ok(store.claim("node01", 9, START).await);
    for select in [
        Selector::Task(task),
        Selector::LatestOf(agent(1)),
        Selector::SpokenOf(agent(1)),
    ] {
        let word = Transition {
            select,
            ..said(1, Status::Done, START)
        };
        let early = hear(store, word).await;
        assert!(
            matches!(early, TransitionResult::Refused(_)),
            "{select:?}: {early:?}"
        );
    }
    assert!(ok(store.begin_installer(task, None, START).await));
    let word = hear(store, said(1, Status::Done, START + 1)).await;
    assert!(matches!(word, TransitionResult::Moved(_)), "{word:?}");
    let again = hear(store, said(1, Status::Failed, START + 1)).await;
    assert!(
        matches!(again, TransitionResult::Refused(Some(_))),
        "{again:?}"
    );
}

async fn a_late_word_corrects_a_time_out(store: &dyn TaskStore) {
    for (id, status) in [(1, Status::Done), (2, Status::Failed)] {
        let task = begin(store, id, START).await;
        expire(store, task, START + 900).await;
        // Only the agent's word does.
        let ours = Transition {
            by: Mover::Delivery,
            select: Selector::Task(task),
            ..said(id, status.clone(), START + 901)
        };
        let refused = hear(store, ours).await;
        assert!(
            matches!(refused, TransitionResult::Refused(Some(_))),
            "{refused:?}"
        );
        let late = hear(store, said(id, status.clone(), START + 901)).await;
        let TransitionResult::Moved(late) = late else {
            panic!("a late word was not heard: {late:?}");
        };
        assert_eq!((late.id, late.status), (task, status));
        let timeline = ok(store.timeline(task).await);
        let last = timeline.last().map(|entry| entry.step);
        assert_eq!(last, Some(TimelineStep::LateReport), "{timeline:?}");
    }
}

async fn a_word_goes_to_the_newest_begun_task(store: &dyn TaskStore) {
    let first = begin(store, 1, START).await;
    expire(store, first, START + 900).await;
    let second = create(store, upgrade(1, "node01", START + 901)).await;
    ok(store.claim("node01", 9, START + 901).await);
    // The second's installer was not begun: this is the first's late word.
    let late = hear(store, said(1, Status::Failed, START + 902)).await;
    let TransitionResult::Moved(late) = late else {
        panic!("the word of the first task was not heard: {late:?}");
    };
    assert_eq!(late.id, first);
    let again = hear(store, said(1, Status::Failed, START + 903)).await;
    let TransitionResult::Refused(Some(about)) = again else {
        panic!("a repeated word moved something: {again:?}");
    };
    assert_eq!(about.id, first);
    assert!(ok(store.begin_installer(second, None, START + 904).await));
    let word = hear(store, said(1, Status::Done, START + 905)).await;
    let TransitionResult::Moved(word) = word else {
        panic!("the word of the second task was not heard: {word:?}");
    };
    assert_eq!(word.id, second);
}

async fn a_word_that_names_its_task_goes_to_it_alone(store: &dyn TaskStore) {
    let named = |id: u32, task: TaskId, status: Status, at: i64| Transition {
        select: Selector::TaskOf {
            task,
            agent: agent(id),
        },
        ..said(id, status, at)
    };
    let first = begin(store, 1, START).await;
    let others = begin(store, 2, START).await;
    expire(store, first, START + 900).await;
    let second = begin(store, 1, START + 901).await;
    for (task, whose) in [(others, "another's"), (TaskId(first.0 + 999), "nobody's")] {
        let word = hear(store, named(1, task, Status::Done, START + 902)).await;
        assert_eq!(word, TransitionResult::Refused(None), "{whose}");
    }
    let late = hear(store, named(1, first, Status::Failed, START + 902)).await;
    assert!(
        matches!(&late, TransitionResult::Moved(task) if task.id == first),
        "{late:?}"
    );
    let again = hear(store, named(1, first, Status::Failed, START + 903)).await;
    assert!(
        matches!(&again, TransitionResult::Refused(Some(task)) if task.id == first),
        "{again:?}"
    );
    let now = ok(store.tasks(&[second, TaskId(second.0 + 999), others]).await);
    let [Some(second), None, Some(others)] = now.as_slice() else {
        panic!("one entry for each, in the order asked: {now:?}");
    };
    for task in [second, others] {
        assert_eq!(task.status, Status::InProgress, "{task:?}");
    }
}

async fn a_word_to_a_task_of_another_program_is_as_in_4_x(store: &dyn TaskStore) {
    let task = create(store, bare(1, "node01", START)).await;
    let early = hear(store, said(1, Status::Done, START)).await;
    assert!(
        matches!(early, TransitionResult::Refused(Some(_))),
        "{early:?}"
    );
    ok(store
        .transition(vec![to(task, Status::InProgress, "node01", START)])
        .await);
    let word = hear(store, said(1, Status::Done, START + 1)).await;
    assert!(matches!(word, TransitionResult::Moved(_)), "{word:?}");
    // A time-out of such a task stays.
    let task = create(store, bare(2, "node01", START)).await;
    ok(store
        .transition(vec![to(task, Status::InProgress, "node01", START)])
        .await);
    expire(store, task, START + 900).await;
    let late = hear(store, said(2, Status::Done, START + 901)).await;
    assert!(
        matches!(late, TransitionResult::Refused(Some(_))),
        "{late:?}"
    );
}
