//! Clients that keep memory: that send half of a long request, or never read a long
//! answer. Others are served all the same, and what is kept is bounded.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{DEADLINE, Served, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wpk_testkit::{Client, ask, wait_until};
use wpk_wire::frame;

/// What everybody else may take at most: a second of patience, and a busy machine.
/// Without it they would wait for an hour.
const SOON: Duration = Duration::from_secs(5);

/// A client that asks for 8 MiB and never reads.
async fn greedy(served: &Served) -> Client {
    let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
    client.send("much").await.unwrap();
    client
}

async fn asked(served: &Served, requests: usize) {
    let reached = wait_until(DEADLINE, || async {
        (served.words.calls.load(Ordering::SeqCst) >= requests).then_some(())
    });
    reached.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_keep_nobody_waiting() {
    // Long answers of 32 MiB together: four of them.
    let served = serve(&json!({
        "max_frame": "1MiB", "max_memory": "64MiB", "idle_timeout": "1h"
    }));
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(greedy(&served).await);
    }
    asked(&served, 60).await;
    for path in [served.home.upgrade_socket(), served.home.task_socket()] {
        let answer = timeout(SOON, ask(&path, "hello")).await;
        assert!(answer.expect("it waits for them").is_some());
        // A long answer waits until they have lost their connections; while too many
        // wait for that, it is refused.
        let long = wait_until(DEADLINE, || ask(&path, "much")).await;
        assert_eq!(long.expect("it never comes").len(), 8 << 20);
    }
    // Four had room, as others got theirs, and 16 waited; no more were ever kept.
    let mut whole = 0;
    for mut client in clients {
        whole += usize::from(client.receive().await.is_ok_and(|answer| answer.is_some()));
    }
    assert!(whole <= 20, "{whole} answers were kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_clients_that_never_read_are_given_to_others() {
    let served = serve(&json!({"max_connections": 4, "idle_timeout": "1h"}));
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(greedy(&served).await);
    }
    asked(&served, 4).await;
    let path = served.home.upgrade_socket();
    let answer = timeout(SOON, ask(&path, "hello")).await;
    assert_eq!(
        answer.expect("everybody is shut out").unwrap(),
        b"Upgrade hello"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_a_long_request_keeps_nobody_waiting() {
    let served = serve(&json!({
        "max_frame": "16MiB", "max_memory": "32MiB", "idle_timeout": "1h"
    }));
    let path = served.home.upgrade_socket();
    let mut halves = Vec::new();
    for _ in 0..3 {
        let mut client = UnixStream::connect(&path).await.unwrap();
        let mut begun = frame::header(16 << 20).to_vec();
        begun.resize(100_000, b' ');
        client.write_all(&begun).await.unwrap();
        halves.push(client);
    }
    let answer = timeout(SOON, ask(&path, "hello")).await;
    assert!(answer.expect("it waits for them").is_some());
    // Each of them has the memory for a second, and there is room for one at a time;
    // whoever is honest gets it in its turn.
    let long = "x".repeat(5 << 20);
    let answer = timeout(Duration::from_secs(60), ask(&path, &long)).await;
    assert_eq!(
        answer.expect("it never comes").unwrap().len(),
        (5 << 20) + 8
    );
    let mut ended = 0;
    for mut half in halves {
        ended += usize::from(half.read(&mut [0]).await.is_ok_and(|read| read == 0));
    }
    assert_eq!(ended, 3, "they were dropped");
}
