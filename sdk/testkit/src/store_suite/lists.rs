//! Which tasks there are, page by page, where a store lists them.

use wpk_api::{
    Confirmation, Mover, Status, Task, TaskId, TaskKind, TaskPage, TaskPlace, TaskQuery, TaskStore,
    TimelineEntry, TimelineStep, Transition,
};

use super::tasks::{START, TARGET, agent, create, ok, to, upgrade};
use std::sync::Arc;

/// All stories, each on a store of its own; none where it lists nothing.
pub async fn run_where_supported(make: &impl AsyncFn() -> Arc<dyn TaskStore>) {
    if make().await.history(&everything()).await.is_err() {
        return;
    }
    nothing_is_an_empty_page(&*make().await).await;
    pages_tell_of_every_task_once(&*make().await).await;
    what_is_not_wanted_is_passed_over(&*make().await).await;
    who_lives_and_who_is_in_trouble(&*make().await).await;
}

fn everything() -> TaskQuery {
    TaskQuery {
        limit: 100,
        ..TaskQuery::default()
    }
}

/// Every page to the end, and how many there were.
async fn all(store: &dyn TaskStore, query: TaskQuery) -> (Vec<Task>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    let mut query = query;
    loop {
        let page = ok(store.history(&query).await);
        assert!(page.tasks.len() <= query.looks_at(), "{page:?}");
        found.extend(page.tasks);
        pages += 1;
        let Some(next) = page.next else { break };
        assert!(query.before.is_none_or(|before| next < before), "{next:?}");
        query.before = Some(next);
    }
    (found, pages)
}

async fn ids(store: &dyn TaskStore, query: TaskQuery) -> Vec<TaskId> {
    let (found, _) = all(store, query).await;
    found.into_iter().map(|task| task.id).collect()
}

async fn nothing_is_an_empty_page(store: &dyn TaskStore) {
    for limit in [0, 1, usize::MAX] {
        let query = TaskQuery {
            limit,
            ..TaskQuery::default()
        };
        assert_eq!(ok(store.history(&query).await), TaskPage::default());
    }
}

async fn pages_tell_of_every_task_once(store: &dyn TaskStore) {
    let mut made = Vec::new();
    // The clock goes back once, and several are created in the same second.
    for (n, created) in (1..).zip([5, 5, 5, 9, 9, 7, 8, 8]) {
        let id = create(store, upgrade(n, "node01", START + created)).await;
        made.push(TaskPlace {
            created: START + created,
            task: id,
        });
    }
    made.sort_unstable();
    made.reverse();
    for limit in [0, 1, 3, 8, 100] {
        let query = TaskQuery {
            limit,
            ..TaskQuery::default()
        };
        let (found, _) = all(store, query).await;
        let places: Vec<TaskPlace> = found.iter().map(TaskPlace::of).collect();
        assert_eq!(places, made, "{limit} at a time");
    }
    let newest = ok(store.tasks(&[made[0].task]).await);
    let first = ok(store.history(&everything()).await).tasks;
    assert_eq!(newest, [first.into_iter().next()], "told as it is");
}

async fn what_is_not_wanted_is_passed_over(store: &dyn TaskStore) {
    let mut made = Vec::new();
    for n in 1..=6 {
        let node = if n > 3 { "node02" } else { "node01" };
        made.push(create(store, upgrade(n, node, START + i64::from(n))).await);
    }
    for limit in [1, 2, 100] {
        let query = || TaskQuery {
            limit,
            ..TaskQuery::default()
        };
        let since = TaskQuery {
            since: Some(START + 5),
            ..query()
        };
        let (found, pages) = all(store, since.clone()).await;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(pages <= 3, "what is older is looked at: {pages} pages");
        let node = TaskQuery {
            node: Some("node01".to_owned()),
            ..query()
        };
        assert_eq!(ids(store, node).await, [made[2], made[1], made[0]]);
        let agents = TaskQuery {
            agents: vec![agent(4), agent(2), agent(99), agent(2)],
            ..query()
        };
        assert_eq!(ids(store, agents.clone()).await, [made[3], made[1]]);
        let both = TaskQuery {
            agents: vec![agent(5), agent(2)],
            ..since
        };
        assert_eq!(ids(store, both).await, [made[4]]);
        let none = TaskQuery {
            node: Some("node03".to_owned()),
            ..agents
        };
        assert_eq!(ids(store, none).await, []);
    }
}

async fn who_lives_and_who_is_in_trouble(store: &dyn TaskStore) {
    let mut made = Vec::new();
    for n in 1..=7 {
        made.push(create(store, upgrade(n, "node01", START + i64::from(n))).await);
    }
    let by = |by, id, status: Status| Transition {
        by,
        ..to(id, status, "node01", START + 20)
    };
    // The first waits, the second is begun, the rest end.
    ok(store.claim("node01", 7, START + 10).await);
    for id in &made[1..] {
        let taken_back = *id == made[4];
        if !taken_back {
            assert!(ok(store
                .begin_installer(*id, Some(TARGET), START + 11)
                .await));
        }
    }
    let ends = vec![
        by(Mover::Report, made[2], Status::Failed),
        by(Mover::Delivery, made[3], Status::Timeout),
        by(Mover::Operator, made[4], Status::Cancelled),
        by(Mover::Report, made[5], Status::Done),
        by(Mover::Report, made[6], Status::Done),
    ];
    ok(store.transition(ends).await);
    let seen = Confirmation::Unconfirmed("v4.7.0".to_owned());
    let entry = TimelineEntry::new(START + 30, TimelineStep::Confirm);
    assert!(ok(store.confirm(made[5], seen, entry).await));
    for limit in [1, 3, 100] {
        let only = |only| TaskQuery {
            only,
            limit,
            ..TaskQuery::default()
        };
        let live = ids(store, only(TaskKind::Live)).await;
        assert_eq!(live, [made[1], made[0]]);
        let troubled = ids(store, only(TaskKind::Troubled)).await;
        assert_eq!(troubled, [made[5], made[4], made[3], made[2]]);
        let (all_of_them, _) = all(store, only(TaskKind::All)).await;
        assert_eq!(all_of_them.len(), made.len());
        let of_agents = TaskQuery {
            agents: vec![agent(2), agent(3)],
            ..only(TaskKind::Live)
        };
        assert_eq!(ids(store, of_agents).await, [made[1]]);
    }
}
