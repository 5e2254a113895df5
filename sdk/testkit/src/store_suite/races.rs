//! Callers that race each other: what must happen once happens once.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use wpk_api::{Created, Mover, Revision, Status, TaskStore, Transition, TransitionResult};

use super::tasks::{START, agent, create, ok, to, upgrade};
use crate::suite::within;

/// Callers in each race.
const CALLERS: u32 = 32;

/// All races, each on a store of its own.
pub async fn run(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    a_task_is_claimed_once(make().await).await;
    an_agent_has_one_live_task(make().await).await;
    an_installer_begins_once(make().await).await;
    a_task_is_taken_back_or_begun(make().await).await;
    a_task_ends_once(make().await).await;
    a_finished_write_is_seen(make().await).await;
    a_reader_of_the_feed_misses_nothing(make().await).await;
}

/// Runs all callers at the same time and collects what they got.
async fn race<T, F>(mut caller: impl FnMut(u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        callers.spawn(caller(n));
    }
    callers.join_all().await
}

async fn a_task_is_claimed_once(store: Arc<dyn TaskStore>) {
    let tasks = (1..=CALLERS * 5).map(|n| upgrade(n, "node01", START));
    ok(store.create(tasks.collect()).await);
    let claimed = race(|n| {
        let store = Arc::clone(&store);
        async move {
            let mut mine = Vec::new();
            loop {
                let next = ok(store.claim("node01", 1 + n as usize % 3, START).await);
                if next.is_empty() {
                    return mine;
                }
                mine.extend(next.into_iter().map(|one| one.task.id));
            }
        }
    })
    .await
    .concat();
    let distinct: HashSet<_> = claimed.iter().collect();
    assert_eq!(claimed.len(), distinct.len(), "a task was claimed twice");
    assert_eq!(distinct.len(), (CALLERS * 5) as usize, "a task was left");
}

async fn an_agent_has_one_live_task(store: Arc<dyn TaskStore>) {
    let results = race(|_| {
        let store = Arc::clone(&store);
        async move {
            ok(store
                .create(vec![
                    upgrade(1, "node01", START),
                    upgrade(2, "node02", START),
                ])
                .await)
        }
    })
    .await;
    for at in 0..2 {
        let mut created = Vec::new();
        let mut live = HashSet::new();
        for result in &results {
            match result[at] {
                Created::Task(id) => created.push(id),
                Created::AlreadyLive(id) => {
                    live.insert(id);
                }
                Created::Fenced => panic!("no task had a fence"),
            }
        }
        assert_eq!(created.len(), 1, "an agent got {created:?}");
        assert_eq!(live.into_iter().collect::<Vec<_>>(), created);
    }
}

async fn an_installer_begins_once(store: Arc<dyn TaskStore>) {
    let id = create(&*store, upgrade(1, "node01", START)).await;
    ok(store.claim("node01", 1, START).await);
    let begun = race(|_| {
        let store = Arc::clone(&store);
        async move { ok(store.begin_installer(id, None, START).await) }
    })
    .await;
    assert_eq!(begun.iter().filter(|begun| **begun).count(), 1);
}

/// Whoever comes first: never both, however many ask.
async fn a_task_is_taken_back_or_begun(store: Arc<dyn TaskStore>) {
    for n in 1..=8 {
        let id = create(&*store, upgrade(n, "node01", START)).await;
        ok(store.claim("node01", 1, START).await);
        let outcomes = race(|caller| {
            let store = Arc::clone(&store);
            async move {
                if caller.is_multiple_of(2) {
                    return ok(store.begin_installer(id, None, START).await);
                }
                let back = Transition {
                    by: Mover::Operator,
                    // Of whichever node it is.
                    ..to(id, Status::Cancelled, "node02", START)
                };
                let moved = ok(store.transition(vec![back]).await).remove(0);
                matches!(moved, TransitionResult::Moved(_))
            }
        })
        .await;
        let did = outcomes.iter().filter(|did| **did).count();
        assert_eq!(did, 1, "task {id} was begun and taken back");
        let begun = ok(store.begun(id).await).is_some();
        let stored = ok(store.tasks(&[id]).await).remove(0);
        let status = stored.map(|task| task.status);
        let expected = match begun {
            true => Status::InProgress,
            false => Status::Cancelled,
        };
        assert_eq!(status, Some(expected));
    }
}

async fn a_task_ends_once(store: Arc<dyn TaskStore>) {
    let id = create(&*store, upgrade(1, "node01", START)).await;
    ok(store.claim("node01", 1, START).await);
    let ends = [
        Status::Done,
        Status::Failed,
        Status::Timeout,
        Status::Legacy,
    ];
    let results = race(|n| {
        let store = Arc::clone(&store);
        let end = to(id, ends[n as usize % ends.len()].clone(), "node01", START);
        async move { ok(store.transition(vec![end]).await).remove(0) }
    })
    .await;
    let mut seen = HashSet::new();
    let mut moved = 0;
    for result in results {
        match result {
            TransitionResult::Moved(task) => {
                moved += 1;
                seen.insert(task.status);
            }
            TransitionResult::Refused(task) => {
                seen.insert(task.map_or(Status::Pending, |task| task.status));
            }
        }
    }
    assert_eq!((moved, seen.len()), (1, 1), "ended as {seen:?}");
}

/// Each caller reads what it has just written, while the others write too.
async fn a_finished_write_is_seen(store: Arc<dyn TaskStore>) {
    race(|n| {
        let store = Arc::clone(&store);
        async move {
            for round in 0..10 {
                let new = upgrade(n, "node01", START + round);
                let id = create(&*store, new).await;
                let found = ok(store.latest(&[agent(n)]).await);
                assert_eq!(found[0].as_ref().map(|task| task.id), Some(id));
                let end = to(id, Status::Cancelled, "node01", START + round);
                ok(store.transition(vec![end]).await);
                let found = ok(store.latest(&[agent(n)]).await);
                assert_eq!(
                    found[0].as_ref().map(|task| &task.status),
                    Some(&Status::Cancelled)
                );
            }
        }
    })
    .await;
}

/// One reads the feed as it grows, while others write: a change that it can see has none
/// before it that it cannot see yet.
async fn a_reader_of_the_feed_misses_nothing(store: Arc<dyn TaskStore>) {
    const ROUNDS: usize = 5;
    let start = ok(store.revision().await);
    let reader = {
        let store = Arc::clone(&store);
        async move {
            let (mut after, mut seen) = (start, Vec::new());
            // Made, taken back.
            while seen.len() < CALLERS as usize * ROUNDS * 2 {
                let next = ok(store.changes(after, 7).await);
                after = next.last().map_or(after, |change| change.revision);
                seen.extend(next);
                tokio::task::yield_now().await;
            }
            seen
        }
    };
    let writers = race(|n| {
        let store = Arc::clone(&store);
        async move {
            for _ in 0..ROUNDS {
                let id = create(&*store, upgrade(n, "node01", START)).await;
                let end = to(id, Status::Cancelled, "node01", START);
                ok(store.transition(vec![end]).await);
            }
        }
    });
    let reader = within("reading the feed while others write", reader);
    let (seen, _) = futures_util::join!(reader, writers);
    assert_eq!(seen, ok(store.changes(start, 100_000).await));
    let last = seen.last().map_or(Revision(0), |change| change.revision);
    assert_eq!(ok(store.revision().await), last);
}
