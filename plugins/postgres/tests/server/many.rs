//! Many tasks at once.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wpk_api::{Created, Fence, NewTask, Revision, StoreError, StoreResult};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{agent, enter, open, settings};

const MANY: u32 = 50_000;
/// Far more than it takes, with everything unoptimised on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_tasks_are_one_call() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "many"));
    enter(&*store, "node01").await;
    let new = (1..=MANY).map(|n| upgrade(n, "node01", START)).collect();
    let begin = Instant::now();
    let created = store.create(new).await.unwrap();
    let took = begin.elapsed();
    println!("{MANY} tasks in {took:?}");
    assert_eq!(created.len(), MANY as usize);
    assert!(created.iter().all(|one| matches!(one, Created::Task(_))));
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(store.revision().await, Ok(Revision(u64::from(MANY))));
    let again = (1..=MANY).map(|n| upgrade(n, "node01", START)).collect();
    let again = store.create(again).await.unwrap();
    assert!(
        again
            .iter()
            .all(|one| matches!(one, Created::AlreadyLive(_)))
    );
}

/// Requests that wait at the same time are one transaction, and each is answered for itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_together_is_written_together_and_fails_alone() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "together"));
    enter(&*store, "node01").await;
    let at_once = async |requests: Vec<NewTask>| {
        let mut asking = JoinSet::new();
        for task in requests {
            let store = std::sync::Arc::clone(&store);
            asking.spawn(async move { (task.agent, store.create(vec![task]).await) });
        }
        asking.join_all().await
    };
    let request = |n| upgrade(n, "node01", START);
    // Two of them are for agent 1.
    let answers = at_once((1..=40).chain([1]).map(request).collect()).await;
    let made = |answer: &StoreResult<Vec<Created>>| match answer.as_deref() {
        Ok([Created::Task(id)]) => Some(*id),
        _ => None,
    };
    let one: Vec<_> = (answers.iter())
        .filter(|(of, _)| *of == agent(1))
        .map(|(_, answer)| answer.clone())
        .collect();
    let id = one.iter().find_map(made).unwrap();
    assert!(one.contains(&Ok(vec![Created::AlreadyLive(id)])), "{one:?}");
    for (of, answer) in &answers {
        let Some(id) = made(answer) else { continue };
        let found = store.tasks(&[id]).await.unwrap();
        assert_eq!(found[0].as_ref().map(|task| task.agent), Some(*of));
    }
    assert_eq!(
        answers
            .iter()
            .filter(|(_, one)| made(one).is_some())
            .count(),
        40
    );
    // A transaction leaves one mark.
    let marks = server.sql("SELECT count(DISTINCT mark) FROM together.changes");
    let marks: u32 = marks.trim().parse().unwrap();
    assert!(marks <= 20, "{marks} transactions for 41 requests");

    let mut requests: Vec<NewTask> = (51..=58).map(request).collect();
    requests[4].fence = Some(Box::new(Fence {
        key: "no\0key".to_owned(),
        epoch: 1,
        opens: 0,
        closes: None,
        mark: String::new(),
    }));
    for (of, answer) in at_once(requests).await {
        match of == agent(55) {
            true => assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}"),
            false => assert!(made(&answer).is_some(), "{answer:?}"),
        }
    }
}
