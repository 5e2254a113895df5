//! How many, who, and until when: the limit of connections, allowed users, the
//! stop signal.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{DEADLINE, build, serve, serve_defaults};
use serde_json::json;
use tokio::time::timeout;
use wpk_api::CancellationToken;
use wpk_testkit::{Client, Home, ask, wait_until};

#[tokio::test]
async fn clients_over_the_limit_wait_and_none_is_lost() {
    let served = serve(&json!({"max_connections": 2}));
    let path = served.home.upgrade_socket();
    let mut clients = Vec::new();
    for i in 0..20 {
        let path = path.clone();
        let word = if i < 10 { "wait" } else { "hello" };
        clients.push(tokio::spawn(async move { ask(path, word).await }));
    }
    let both = wait_until(DEADLINE, || async {
        (served.words.calls.load(Ordering::SeqCst) >= 2).then_some(())
    });
    both.await.unwrap();
    // The other socket has places of its own.
    assert!(ask(served.home.task_socket(), "hello").await.is_some());
    served.words.gate.add_permits(10);
    for client in clients {
        let answer = timeout(DEADLINE, client).await.unwrap().unwrap();
        assert!(answer.is_some());
    }
}

#[tokio::test]
async fn at_most_max_connections_are_served_at_a_time() {
    let served = serve(&json!({"max_connections": 3}));
    let path = served.home.upgrade_socket();
    let clients: Vec<_> = (0..9)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { ask(path, "wait").await })
        })
        .collect();
    for served_so_far in [3, 6, 9] {
        let reached = wait_until(DEADLINE, || async {
            (served.words.calls.load(Ordering::SeqCst) >= served_so_far).then_some(())
        });
        reached.await.unwrap();
        assert_eq!(served.words.calls.load(Ordering::SeqCst), served_so_far);
        served.words.gate.add_permits(3);
    }
    for client in clients {
        assert!(timeout(DEADLINE, client).await.unwrap().unwrap().is_some());
    }
}

#[tokio::test]
async fn silent_clients_make_room_when_places_are_scarce() {
    let served = serve(&json!({"max_connections": 4, "idle_timeout": "1h"}));
    let path = served.home.task_socket();
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&path).await.unwrap();
        // Known to be accepted, then silent.
        client.ask("hello").await.unwrap().unwrap();
        silent.push(client);
    }
    let answer = timeout(DEADLINE, ask(&path, "hello")).await.unwrap();
    assert_eq!(answer.unwrap(), b"Task hello");
}

#[tokio::test]
async fn only_allowed_users_are_answered() {
    let uid = rustix::process::geteuid().as_raw();
    let refused = serve(&json!({"allow_uids": [uid + 1]}));
    assert_eq!(ask(refused.home.task_socket(), "hello").await, None);
    assert_eq!(refused.words.calls.load(Ordering::SeqCst), 0);
    let allowed = serve(&json!({"allow_uids": [uid + 1, uid]}));
    assert!(ask(allowed.home.task_socket(), "hello").await.is_some());
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_removes_the_sockets() {
    let served = serve(&json!({"idle_timeout": "1h"}));
    let path = served.home.upgrade_socket();
    let mut running = Client::connect(&path).await.unwrap();
    running.send("wait").await.unwrap();
    let mut idle = Client::connect(&path).await.unwrap();
    idle.ask("hello").await.unwrap().unwrap();
    let reached = wait_until(DEADLINE, || async {
        (served.words.calls.load(Ordering::SeqCst) == 2).then_some(())
    });
    reached.await.unwrap();

    served.stop.cancel();
    assert_eq!(idle.receive().await.unwrap(), None);
    let gone = wait_until(DEADLINE, || async {
        let gone = !path.exists() && !served.home.task_socket().exists();
        gone.then_some(())
    });
    gone.await.expect("the sockets are still there");
    served.words.gate.add_permits(1);
    assert_eq!(running.receive().await.unwrap().unwrap(), b"Upgrade wait");
    assert_eq!(running.receive().await.unwrap(), None);
    timeout(DEADLINE, served.ended)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_stop() {
    let served = serve_defaults();
    let mut running = Client::connect(served.home.upgrade_socket()).await.unwrap();
    running.send("wait").await.unwrap();
    let reached = wait_until(DEADLINE, || async {
        (served.words.calls.load(Ordering::SeqCst) == 1).then_some(())
    });
    reached.await.unwrap();
    tokio::time::pause();
    served.stop.cancel();
    let ended = timeout(Duration::from_secs(10), served.ended).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_source_is_served_once() {
    let home = Home::new().unwrap();
    let source = build(&home, &json!({"task": ""})).unwrap();
    let served = serve_defaults();
    let stop = CancellationToken::new();
    stop.cancel();
    source
        .serve(served.words.clone(), stop.clone())
        .await
        .unwrap();
    let error = source.serve(served.words.clone(), stop).await.unwrap_err();
    assert!(error.to_string().contains("once"), "{error}");
}
