//! The door beside a real agent daemon: frames in all their shapes, clients of
//! all kinds, and the program's start and end.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{DEADLINE, answer, command, home, start, start_in};
use wpk_testkit::process::Signal;
use wpk_testkit::{Client, Process};

const UNKNOWN: &str = r#"{"command":"nope","parameters":{}}"#;

fn not_found() -> Vec<u8> {
    answer(2, "Command not found").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_frames_in_any_pieces() {
    let agent = start("[listen]\n").await;
    let mode = fs::metadata(agent.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    let mut client = Client::connect(agent.socket()).await.unwrap();
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend_from_slice(&u32::try_from(UNKNOWN.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(UNKNOWN.as_bytes());
    }
    client.send_raw(&bytes).await.unwrap();
    for byte in &bytes {
        client.send_raw([*byte]).await.unwrap();
    }
    client.half_close().await.unwrap();
    for _ in 0..6 {
        assert_eq!(client.receive().await.unwrap(), Some(not_found()));
    }
    assert_eq!(client.receive().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_clients_are_dropped_and_hurt_nobody() {
    let agent = start("[listen]\ntimeout = \"300ms\"\n").await;
    let mut bad = Vec::new();
    let openings: [&[u8]; 5] = [
        b"",
        b"\x10",
        b"\x10\0\0\0half",
        b"\xff\xff\xff\xff",
        b"\x00\0\0\0",
    ];
    for bytes in openings {
        let mut client = Client::connect(agent.socket()).await.unwrap();
        client.send_raw(bytes).await.unwrap();
        bad.push(client);
    }
    // More than are served at a time; none of them says anything.
    for _ in 0..100 {
        bad.push(Client::connect(agent.socket()).await.unwrap());
    }
    assert_eq!(
        agent.ask(UNKNOWN).await.map(String::into_bytes),
        Some(not_found())
    );
    for mut client in bad {
        let last = client.receive().await;
        assert!(matches!(last, Ok(None) | Err(_)), "{last:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_stop_its_command() {
    let agent = start("[listen]\n").await;
    let mut client = Client::connect(agent.socket()).await.unwrap();
    client
        .send(r#"{"command":"open","parameters":{"mode":"w","file":"kept"}}"#)
        .await
        .unwrap();
    drop(client);
    let file = agent.path("var/incoming/kept");
    agent.until("the file is opened", || file.exists()).await;
    assert_eq!(
        agent.ask(UNKNOWN).await.map(String::into_bytes),
        Some(not_found())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agent_per_home_and_a_clean_end() {
    let mut agent = start("[listen]\n").await;
    let second = command(agent.home.path(), "[listen]\n");
    let mut second = Process::start(second, agent.path("second.log")).unwrap();
    assert!(!second.wait(DEADLINE).await.unwrap().success());
    assert!(
        second.output().contains("another wpk-agent"),
        "{}",
        second.output()
    );
    assert_eq!(
        agent.ask(UNKNOWN).await.map(String::into_bytes),
        Some(not_found())
    );

    agent.process.signal(Signal::TERM).unwrap();
    assert!(agent.process.wait(DEADLINE).await.unwrap().success());
    assert!(!agent.socket().exists());
    let mut agent = start_in(agent.home, "[listen]\n").await;
    agent.process.kill().await.unwrap();
    assert!(agent.socket().exists(), "nobody could remove it");
    let agent = start_in(agent.home, "[listen]\n").await;
    assert_eq!(
        agent.ask(UNKNOWN).await.map(String::into_bytes),
        Some(not_found())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_prints_every_mistake() {
    let home = home();
    let mut check = command(
        home.path(),
        "[upgrade]\nenabled = 1\nresult_wait = \"0s\"\nfoo = 1\n[listen]\nsockets = \"x\"\n",
    );
    check.arg("check");
    let log = home.path().join("check.log");
    let mut check = Process::start(check, &log).unwrap();
    assert!(!check.wait(DEADLINE).await.unwrap().success());
    let output = check.output();
    for key in ["upgrade.enabled", "upgrade.foo", "listen.sockets"] {
        assert!(output.contains(key), "{key} is missing:\n{output}");
    }
    let mut good = command(home.path(), "[listen]\n");
    good.arg("check");
    let mut good = Process::start(good, &log).unwrap();
    assert!(
        good.wait(DEADLINE).await.unwrap().success(),
        "{}",
        good.output()
    );
}
