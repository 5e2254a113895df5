//! Requests and answers over real sockets: framing, order, the wrong, the slow
//! and the silent client.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(missing_docs, unreachable_pub)]

mod common;

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{DEADLINE, serve, serve_defaults};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};
use wpk_testkit::{Client, ask};

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test]
async fn both_sockets_answer_and_say_which_they_are() {
    let served = serve_defaults();
    let upgrade = ask(served.home.upgrade_socket(), "hello").await;
    assert_eq!(upgrade.unwrap(), b"Upgrade hello");
    let task = ask(served.home.task_socket(), "hello").await;
    assert_eq!(task.unwrap(), b"Task hello");
}

#[tokio::test]
async fn the_kernel_vouches_for_the_user() {
    let served = serve_defaults();
    let uid = rustix::process::geteuid().as_raw();
    let answer = ask(served.home.task_socket(), "peer").await.unwrap();
    assert_eq!(answer, format!("Local {{ uid: {uid} }}").into_bytes());
}

#[tokio::test]
async fn one_connection_takes_many_frames_and_answers_in_order() {
    let served = serve_defaults();
    let mut client = Client::connect(served.home.task_socket()).await.unwrap();
    for round in 0..3 {
        let question = format!("question {round}");
        let answer = client.ask(&question).await.unwrap().unwrap();
        assert_eq!(answer, format!("Task {question}").into_bytes());
    }
    // Many at once: in one write, before any answer is read.
    let many: Vec<u8> = (0..500)
        .flat_map(|i| framed(format!("{i}").as_bytes()))
        .collect();
    client.send_raw(&many).await.unwrap();
    for i in 0..500 {
        let answer = client.receive().await.unwrap().unwrap();
        assert_eq!(answer, format!("Task {i}").into_bytes());
    }
}

#[tokio::test]
async fn a_frame_may_arrive_in_any_pieces() {
    let served = serve_defaults();
    let frame = framed(b"in pieces");
    for cut in 1..frame.len() {
        let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
        client.send_raw(&frame[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        client.send_raw(&frame[cut..]).await.unwrap();
        let answer = client.receive().await.unwrap().unwrap();
        assert_eq!(answer, b"Upgrade in pieces", "cut at {cut}");
    }
}

#[tokio::test]
async fn long_requests_and_answers_pass() {
    let served = serve_defaults();
    let long = vec![b'q'; 16 << 20];
    let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
    let answer = client.ask(&long).await.unwrap().unwrap();
    assert_eq!(answer.len(), long.len() + "Upgrade ".len());
    assert_eq!(client.ask("much").await.unwrap().unwrap().len(), 8 << 20);
    assert_eq!(client.ask("empty").await.unwrap().unwrap(), b"");
    assert_eq!(client.ask("and").await.unwrap().unwrap(), b"Upgrade and");
}

#[tokio::test]
async fn a_half_closed_client_gets_all_its_answers() {
    let served = serve_defaults();
    let mut client = Client::connect(served.home.task_socket()).await.unwrap();
    let mut bytes = [framed(b"one"), framed(b"two")].concat();
    bytes.push(b'}'); // the beginning of a frame that never comes
    client.send_raw(&bytes).await.unwrap();
    client.half_close().await.unwrap();
    assert_eq!(client.receive().await.unwrap().unwrap(), b"Task one");
    assert_eq!(client.receive().await.unwrap().unwrap(), b"Task two");
    assert_eq!(client.receive().await.unwrap(), None);
}

#[tokio::test]
async fn broken_frames_are_closed_without_an_answer() {
    let served = serve(&json!({"max_frame": "64KiB"}));
    let over = 65_537u32.to_le_bytes();
    let cases: [(&str, Vec<u8>); 8] = [
        ("nothing at all", vec![]),
        ("three bytes of a length", vec![16, 0, 0]),
        ("a length only", vec![100, 0, 0, 0]),
        ("length zero", vec![0; 4]),
        (
            "length zero, then a good frame",
            [vec![0; 4], framed(b"x")].concat(),
        ),
        ("over the limit", over.to_vec()),
        ("two to the 31", vec![0, 0, 0, 0x80]),
        (
            "big-endian length",
            [vec![0, 0, 0, 49], vec![b'{'; 49]].concat(),
        ),
    ];
    for (name, bytes) in cases {
        let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
        // The server may close before everything is written.
        let _ = client.send_raw(&bytes).await;
        let _ = client.half_close().await;
        assert_eq!(client.receive().await.unwrap(), None, "{name}");
    }
    assert_eq!(served.words.calls.load(Ordering::SeqCst), 0);
    let largest = vec![b' '; 65_536];
    assert!(ask(served.home.upgrade_socket(), &largest).await.is_some());
}

#[tokio::test]
async fn the_engine_may_close_without_an_answer() {
    let served = serve_defaults();
    assert_eq!(ask(served.home.task_socket(), "nothing").await, None);
}

#[tokio::test]
async fn a_connection_that_asked_often_ends_and_is_not_reset() {
    let served = serve_defaults();
    let over = [1, 2, 3, 4].repeat(4);
    let ends = [
        ("length zero", Some(vec![0; 4])),
        ("over the limit", Some(over)),
        ("what the engine does not answer", Some(framed(b"nothing"))),
        ("the daemon stops", None),
    ];
    for (name, last) in ends {
        let mut client = UnixStream::connect(served.home.task_socket())
            .await
            .unwrap();
        for _ in 0..3 {
            client.write_all(&framed(b"hello")).await.unwrap();
            let mut answer = [0; 14];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer[4..], b"Task hello");
        }
        match last {
            Some(last) => client.write_all(&last).await.unwrap(),
            None => served.stop.cancel(),
        }
        let mut more = Vec::new();
        let read = client.read_to_end(&mut more).await;
        assert_eq!(read.map_err(|error| error.kind()), Ok(0), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_at_once_is_still_heard() {
    let served = serve_defaults();
    let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
    client.send("acknowledgement").await.unwrap();
    drop(client);
    ask(served.home.upgrade_socket(), "after it").await.unwrap();
    let heard = wpk_testkit::wait_until(DEADLINE, || async {
        (served.words.calls.load(Ordering::SeqCst) == 2).then_some(())
    });
    assert!(heard.await.is_some());
}

#[tokio::test(start_paused = true)]
async fn silent_and_half_silent_clients_are_dropped_in_time() {
    let served = serve_defaults();
    let starts: [&[u8]; 4] = [&[], &[9], &[100, 0, 0, 0], b"\x64\0\0\0half a frame"];
    for start in starts {
        let since = Instant::now();
        let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
        client.send_raw(start).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), None);
        let waited = since.elapsed().as_secs();
        assert!((29..=62).contains(&waited), "{start:?}: {waited} s");
    }
}

#[tokio::test]
async fn sending_byte_by_byte_does_not_help() {
    let served = serve(&json!({"idle_timeout": "300ms"}));
    let since = Instant::now();
    let mut client = Client::connect(served.home.upgrade_socket()).await.unwrap();
    client.send_raw(100u32.to_le_bytes()).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while client.send_raw(b"x").await.is_ok() {
        ticks.tick().await;
        assert!(since.elapsed() < DEADLINE, "never dropped");
    }
    assert!(since.elapsed() >= Duration::from_millis(300));
    assert_eq!(served.words.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_hurts_nobody() {
    let served = serve(&json!({"idle_timeout": "500ms"}));
    let mut deaf = Client::connect(served.home.task_socket()).await.unwrap();
    deaf.send("much").await.unwrap();
    let mut half = Client::connect(served.home.task_socket()).await.unwrap();
    half.send_raw([255, 255, 0, 0]).await.unwrap();
    for _ in 0..50 {
        let answer = timeout(DEADLINE, ask(served.home.task_socket(), "other")).await;
        assert_eq!(answer.unwrap().unwrap(), b"Task other");
    }
    // The time limit is seen by the half client; the deaf one's is the same.
    assert_eq!(half.receive().await.unwrap(), None);
    // Once the server has closed, nothing more can be sent.
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let sending = async {
        loop {
            ticks.tick().await;
            if let Err(error) = deaf.send("x").await {
                return error;
            }
        }
    };
    let error = timeout(DEADLINE, sending).await.expect("never dropped");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
