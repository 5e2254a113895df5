//! Clients that ask one question right after the other get a thread, and nothing else that
//! others do not get.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{DEADLINE, Served, serve, serve_defaults};
use serde_json::json;
use tokio::time::{Instant, timeout};
use wpk_testkit::{Client, wait_until};

/// Who answers in the runtime: it has one thread, the test's.
fn runtime() -> Vec<u8> {
    format!("{:?}", std::thread::current().id()).into_bytes()
}

/// A client that asks until a thread answers.
async fn busy(served: &Served) -> Client {
    let mut client = Client::connect(served.home.task_socket()).await.unwrap();
    let asking = async {
        while client.ask("thread").await.unwrap().unwrap() == runtime() {}
        client
    };
    timeout(DEADLINE, asking).await.expect("no thread answers")
}

/// A client whose thread waits for an answer. On a machine that is busy itself it may have lost
/// its thread before it asked: then another one tries.
async fn waits(served: &Served) -> Client {
    loop {
        let mut client = busy(served).await;
        let threads = served.words.waited_elsewhere.load(Ordering::SeqCst);
        let calls = served.words.calls.load(Ordering::SeqCst);
        client.send("wait").await.unwrap();
        let asked = wait_until(DEADLINE, || async {
            (served.words.calls.load(Ordering::SeqCst) > calls).then_some(())
        });
        asked.await.unwrap();
        if served.words.waited_elsewhere.load(Ordering::SeqCst) > threads {
            return client;
        }
    }
}

#[tokio::test]
async fn all_questions_are_answered_in_order_whatever_they_are() {
    let served = serve_defaults();
    let mut client = busy(&served).await;
    for round in 0..500 {
        let question = format!("question {round}");
        let answer = client.ask(&question).await.unwrap().unwrap();
        assert_eq!(answer, format!("Task {question}").into_bytes());
    }
    // More than one at a time, and the last of them in two pieces.
    let frames: Vec<u8> = (0..5_000)
        .flat_map(|n| wpk_wire::frame::frame(format!("{n}").as_bytes()))
        .collect();
    let (most, rest) = frames.split_at(frames.len() - 3);
    client.send_raw(most).await.unwrap();
    for n in 0..4_999 {
        let answer = client.receive().await.unwrap().unwrap();
        assert_eq!(answer, format!("Task {n}").into_bytes());
    }
    client.send_raw(rest).await.unwrap();
    assert_eq!(client.receive().await.unwrap().unwrap(), b"Task 4999");
    // An answer that the client's side has no room for.
    assert_eq!(client.ask("much").await.unwrap().unwrap().len(), 8 << 20);
    let long = vec![b'q'; 4 << 20];
    let answer = client.ask(&long).await.unwrap().unwrap();
    assert_eq!(answer.len(), long.len() + "Task ".len());
    assert_eq!(client.ask("and").await.unwrap().unwrap(), b"Task and");
}

#[tokio::test]
async fn half_a_question_and_silence_have_the_time_that_others_have() {
    let served = serve(&json!({"idle_timeout": "300ms"}));
    let half: [&[u8]; 3] = [&[], &[9, 0], b"\x64\0\0\0half a frame"];
    for start in half {
        let mut client = busy(&served).await;
        let since = Instant::now();
        client.send_raw(start).await.unwrap();
        let ended = timeout(DEADLINE, client.receive()).await;
        assert_eq!(ended.expect("never dropped").unwrap(), None, "{start:?}");
        assert!(since.elapsed() >= Duration::from_millis(300), "{start:?}");
    }
    // Whoever is back in the runtime and asks at once gets a thread again.
    busy(&served).await;
}

#[tokio::test]
async fn what_ends_a_connection_ends_a_busy_one_and_is_no_reset() {
    let served = serve(&json!({"max_frame": "64KiB"}));
    let wrong: [(&str, Vec<u8>); 3] = [
        ("length zero", vec![0; 4]),
        ("over the limit", 65_537u32.to_le_bytes().to_vec()),
        ("not answered", wpk_wire::frame::frame(b"nothing").to_vec()),
    ];
    for (name, bytes) in wrong {
        let mut client = busy(&served).await;
        client.send_raw(&bytes).await.unwrap();
        let ended = timeout(DEADLINE, client.receive()).await;
        assert_eq!(ended.expect(name).unwrap(), None, "{name}");
    }
    let mut client = busy(&served).await;
    client.send("last").await.unwrap();
    client.half_close().await.unwrap();
    assert_eq!(client.receive().await.unwrap().unwrap(), b"Task last");
    assert_eq!(client.receive().await.unwrap(), None);
}

#[tokio::test]
async fn more_than_there_are_threads_for_are_served_as_well() {
    let served = serve_defaults();
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(waits(&served).await);
    }
    let mut other = Client::connect(served.home.upgrade_socket()).await.unwrap();
    for _ in 0..200 {
        let answer = other.ask("thread").await.unwrap().unwrap();
        assert_eq!(answer, runtime(), "all threads are in use");
    }
    served.words.gate.add_permits(1_000);
    for client in &mut clients {
        let answer = client.receive().await.unwrap().unwrap();
        assert_eq!(answer, b"Task wait");
    }
    busy(&served).await;
}

#[tokio::test]
async fn while_files_are_sent_nobody_has_a_thread() {
    let served = serve_defaults();
    let mut client = busy(&served).await;
    served.words.sending.store(true, Ordering::SeqCst);
    // The one that was asked before it began is answered by the thread.
    client.ask("thread").await.unwrap().unwrap();
    for _ in 0..200 {
        assert_eq!(client.ask("thread").await.unwrap().unwrap(), runtime());
    }
    served.words.sending.store(false, Ordering::SeqCst);
    busy(&served).await;
}

#[tokio::test]
async fn a_stop_ends_busy_clients_and_lets_what_they_asked_be_answered() {
    let served = serve(&json!({"idle_timeout": "1h"}));
    let mut silent = busy(&served).await;
    let mut running = waits(&served).await;
    served.stop.cancel();
    let ended = timeout(DEADLINE, silent.receive()).await;
    assert_eq!(ended.unwrap().unwrap(), None);
    served.words.gate.add_permits(1_000);
    assert_eq!(running.receive().await.unwrap().unwrap(), b"Task wait");
    assert_eq!(running.receive().await.unwrap(), None);
    let ended = timeout(DEADLINE, served.ended).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_question_that_never_ends_holds_up_neither_the_stop_nor_a_thread() {
    let served = serve_defaults();
    let mut running = waits(&served).await;
    tokio::time::pause();
    served.stop.cancel();
    // While a thread is busy time does not pass by itself.
    let passing = async {
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    };
    let ended = tokio::select! {
        ended = served.ended => ended,
        () = passing => unreachable!("it passes for ever"),
    };
    ended.unwrap().unwrap();
    tokio::time::resume();
    let ended = timeout(DEADLINE, running.receive()).await;
    assert_eq!(ended.expect("its thread goes on").unwrap(), None);
}
