//! Commits whose answer is lost: what became of them is found out, not guessed.

use std::time::{Duration, Instant};

use wpk_api::{Created, StoreError};
use wpk_testkit::PostgresServer;
use wpk_testkit::store_suite::{START, upgrade};

use crate::common::{agent, create, enter, open};
use crate::proxy::{Lose, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_commit_is_asked_of_the_server() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let proxy = Proxy::before(&server).await;
    let store = open(&proxy.settings("lost"));
    let own = enter(&*store, "node01").await;
    for (n, lose) in (1..).zip([Lose::Answer, Lose::Commit, Lose::Answer, Lose::Commit]) {
        proxy.lose(lose);
        let task = create(&*store, n).await;
        let found = store.latest(&[agent(n)]).await.unwrap();
        assert_eq!(
            found[0].as_ref().map(|task| task.id),
            Some(task),
            "{lose:?}"
        );
        proxy.lose(lose);
        let claimed = store.claim("node01", 9, START).await.unwrap();
        assert_eq!(claimed.len(), 1, "{lose:?}");
        proxy.lose(lose);
        assert!(
            store.begin_installer(task, None, START).await.unwrap(),
            "{lose:?}"
        );
        assert_eq!(store.begun(task).await.unwrap(), Some(own));
        assert!(!store.begin_installer(task, None, START).await.unwrap());
    }
    let counted = server.sql("SELECT count(*) FROM lost.tasks");
    assert_eq!(counted, "4", "none was made twice");
    // Nothing that was made is missing in the feed, and nothing twice.
    let changes = store.changes(wpk_api::Revision(0), 99).await.unwrap();
    assert_eq!(changes.len(), 12, "{changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_answer_is_lost_is_the_one_that_counts() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let proxy = Proxy::before(&server).await;
    let store = open(&proxy.settings("entry"));
    create(&*store, 1).await;
    proxy.lose(Lose::Answer);
    let own = enter(&*store, "node01").await;
    let nodes = store.nodes().await.unwrap();
    assert_eq!(nodes[0].held.incarnation, own);
    store.renew().await.unwrap();
}

/// Where the server cannot be asked, nobody guesses.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_is_uncertain() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let proxy = Proxy::before(&server).await;
    let store = open(&proxy.settings("uncertain"));
    enter(&*store, "node01").await;
    for (n, lose, there) in [(1, Lose::Answer, true), (2, Lose::Commit, false)] {
        // Only the connection that is open is of use.
        proxy.lose(lose);
        proxy.close(true);
        let begin = Instant::now();
        let answer = store.create(vec![upgrade(n, "node01", START)]).await;
        assert!(
            matches!(answer, Err(StoreError::Uncertain(_))),
            "{lose:?}: {answer:?}"
        );
        assert!(
            begin.elapsed() < Duration::from_secs(4),
            "{:?}",
            begin.elapsed()
        );
        proxy.close(false);
        let found = store.latest(&[agent(n)]).await.unwrap();
        assert_eq!(found[0].is_some(), there, "{lose:?}");
    }
}

/// A server that crashed may give a number of a transaction away again: the mark of the
/// transaction tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_server_during_a_commit_is_told_apart() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let proxy = Proxy::before(&server).await;
    let store = open(&proxy.settings("crash"));
    enter(&*store, "node01").await;
    create(&*store, 1).await;
    for n in 2..5 {
        proxy.lose(if n % 2 == 0 {
            Lose::Answer
        } else {
            Lose::Commit
        });
        let asked = {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.create(vec![upgrade(n, "node01", START)]).await })
        };
        server = tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart();
            server
        })
        .await
        .unwrap();
        let answer = asked.await.unwrap();
        let found = store.latest(&[agent(n)]).await.unwrap();
        match answer {
            Ok(created) => {
                let [Created::Task(id)] = created[..] else {
                    panic!("{created:?}");
                };
                assert_eq!(found[0].as_ref().map(|task| task.id), Some(id));
            }
            Err(StoreError::Unavailable(_)) => assert_eq!(found, [None]),
            Err(StoreError::Uncertain(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
