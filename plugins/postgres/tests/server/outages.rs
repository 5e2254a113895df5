//! A server that is killed, stands still, is full or may not be written: every call ends
//! soon with what is so, and the store recovers by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wpk_api::settings::Span;
use wpk_api::{Created, StoreError, StoreResult, TaskId, TaskStore};
use wpk_plugin_postgres::Settings;
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{agent, create, enter, open, settings};

/// What a call may take in all: its time, and some for a machine that is busy.
const SOON: Duration = Duration::from_millis(3_500);

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: StoreResult<T>, says: &str) {
    match answer {
        Err(StoreError::Unavailable(text)) if text.contains(says) => {}
        other => panic!("not available, and {says:?} in it: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_at_once_and_comes_back() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "gone"));
    enter(&*store, "node01").await;
    let task = create(&*store, 1).await;
    for round in 1..=2 {
        match round {
            1 => server.kill(),
            _ => server.stop(),
        }
        let begin = Instant::now();
        unavailable(store.create(vec![upgrade(9, "node01", START)]).await, "");
        unavailable(store.latest(&[agent(1)]).await, "");
        unavailable(store.renew().await, "");
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        server.restart();
        let found = store.tasks(&[task]).await.unwrap();
        assert_eq!(found[0].as_ref().map(|task| task.id), Some(task));
        store.renew().await.unwrap();
        assert_eq!(store.latest(&[agent(9)]).await.unwrap(), [None]);
    }
    // A store that was opened while nobody was there works as well.
    server.stop();
    let late = open(&settings(&server, "gone"));
    unavailable(late.latest(&[agent(1)]).await, ".s.PGSQL");
    server.restart();
    assert!(late.latest(&[agent(1)]).await.unwrap()[0].is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_kill_is_so_afterwards() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "killed"));
    enter(&*store, "node01").await;
    create(&*store, 1).await;
    let enough = Arc::new(AtomicBool::new(false));
    let in_the_middle = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 1..=8_u32 {
        let (store, enough) = (Arc::clone(&store), Arc::clone(&enough));
        let in_the_middle = Arc::clone(&in_the_middle);
        callers.spawn(async move {
            let mut answers = Vec::new();
            for n in 0.. {
                let id = caller * 100_000 + n;
                let answer = store.create(vec![upgrade(id, "node01", START)]).await;
                in_the_middle.fetch_or(answer.is_err(), Ordering::SeqCst);
                answers.push((id, answer));
                if enough.load(Ordering::SeqCst) {
                    break;
                }
            }
            answers
        });
    }
    // A kill between two transactions is in the middle of none: the calls that wait then are
    // carried out afterwards.
    let mut revision = 0;
    for _ in 0..20 {
        // Once they are at it.
        let at_it = wpk_testkit::wait_until(Duration::from_secs(30), || async {
            let newest = store.revision().await.ok()?;
            (newest.0 > revision + 100).then_some(newest.0)
        });
        revision = at_it.await.unwrap();
        server.kill();
        server.restart();
        if in_the_middle.load(Ordering::SeqCst) {
            break;
        }
    }
    enough.store(true, Ordering::SeqCst);
    let answers = callers.join_all().await.concat();
    assert!(
        answers.iter().any(|(_, answer)| answer.is_err()),
        "it was in the middle"
    );
    for (id, answer) in answers {
        let found = store.latest(&[agent(id)]).await.unwrap();
        match answer {
            Ok(created) => {
                let there = found[0].as_ref().map(|task| Created::Task(task.id));
                assert_eq!(there, Some(created[0]), "agent {id}");
            }
            Err(StoreError::Unavailable(_)) => assert_eq!(found, [None], "agent {id}"),
            Err(StoreError::Uncertain(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_holds_nobody_up() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "still"));
    enter(&*store, "node01").await;
    create(&*store, 1).await;
    server.pause();
    for _ in 0..2 {
        let begin = Instant::now();
        unavailable(store.latest(&[agent(1)]).await, "in time");
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    }
    let begin = Instant::now();
    let answer = store.create(vec![upgrade(2, "node01", START)]).await;
    assert!(answer.is_err() && begin.elapsed() < SOON, "{answer:?}");
    server.resume();
    create(&*store, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_or_a_connection_waits_not_for_ever() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let settings = Settings {
        pool: 2,
        timeout: Span::seconds(1),
        ..settings(&server, "full")
    };
    let store = open(&settings);
    create(&*store, 1).await;
    let server = Arc::new(server);
    let holds = {
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            server.sql("BEGIN; SELECT * FROM \"full\".turns FOR UPDATE; SELECT pg_sleep(4); COMMIT")
        })
    };
    // Once the rows are held.
    let held = wpk_testkit::wait_until(Duration::from_secs(10), || async {
        let held = store.create(vec![upgrade(2, "node01", START)]).await;
        held.is_err().then_some(())
    });
    held.await.unwrap();
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    for n in 10..16 {
        let store = Arc::clone(&store);
        callers.spawn(async move { store.create(vec![upgrade(n, "node01", START)]).await });
    }
    let answers = callers.join_all().await;
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    let answered = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(answered >= 4, "{answers:?}");
    holds.await.unwrap();
    create(&*store, 99).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_written_or_does_not_fit_is_told_with_what_to_do() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let store = open(&settings(&server, "written"));
    create(&*store, 1).await;
    // As a full disk ends a statement.
    server.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT ON written.tasks \
         FOR EACH ROW EXECUTE FUNCTION full_disk()",
    );
    let answer = store.create(vec![upgrade(2, "node01", START)]).await;
    assert!(matches!(answer, Err(StoreError::Full(_))), "{answer:?}");
    server.sql("DROP TRIGGER full_disk ON written.tasks");
    server.configure("default_transaction_read_only = on");
    server.restart();
    unavailable(
        store.create(vec![upgrade(3, "node01", START)]).await,
        "primary",
    );
    let found = store.tasks(&[TaskId(1)]).await.unwrap();
    assert!(found[0].is_some(), "it can be read");
    server.configure("default_transaction_read_only = off\nmax_connections = 5");
    server.restart();
    let others: Vec<Arc<dyn TaskStore>> = (0..5)
        .map(|_| open(&settings(&server, "written")))
        .collect();
    let mut last = Ok(Vec::new());
    for other in &others {
        last = other.latest(&[agent(1)]).await;
        if last.is_err() {
            break;
        }
    }
    unavailable(last, "store.pool");
}
