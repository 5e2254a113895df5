//! SIGHUP and wrong settings, on the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use common::{Agent, DEADLINE, QUICK, answer, command, home, start};
use wpk_testkit::Process;
use wpk_testkit::process::Signal;

const OPEN: &str = r#"{"command":"open","parameters":{"mode":"wb","file":"f"}}"#;

fn settings(incoming: &str, more: &str) -> String {
    format!("{QUICK}[limits]\nincoming = \"{incoming}\"\n[listen]\n{more}")
}

/// The answer to a write of 6,000 bytes.
async fn write(agent: &Agent) -> Option<String> {
    assert_eq!(agent.ask(OPEN).await, Some(answer(0, "ok")));
    let buffer = base64_simd::STANDARD.encode_to_string([0; 6000]);
    let parameters = format!(r#"{{"buffer":"{buffer}","length":6000,"file":"f"}}"#);
    let write = format!(r#"{{"command":"write","parameters":{parameters}}}"#);
    agent.ask(write).await
}

/// Writes these settings, sends SIGHUP and waits for the word.
async fn reload(agent: &mut Agent, settings: &str, word: &str) {
    fs::write(agent.path("etc/agent.toml"), settings).unwrap();
    agent.process.signal(Signal::HUP).unwrap();
    let said = agent.process.wait_for_line(word, DEADLINE).await;
    assert!(said.is_some(), "{}", agent.process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_settings_again() {
    let mut agent = start(&settings("5KiB", "")).await;
    let (full, ok) = (Some(answer(10, "Cannot write file")), Some(answer(0, "ok")));
    assert_eq!(write(&agent).await, full);
    reload(
        &mut agent,
        &settings("1MiB", ""),
        "the settings were reloaded",
    )
    .await;
    assert_eq!(write(&agent).await, ok);
    let wrong = settings("nothing", "");
    reload(&mut agent, &wrong, "the settings before go on to count").await;
    assert!(agent.process.output().contains("limits.incoming"));
    assert_eq!(write(&agent).await, ok);
    let later = settings("5KiB", "timeout = \"7s\"\n");
    reload(&mut agent, &later, "[listen]: needs a restart").await;
    assert_eq!(write(&agent).await, full, "the rest counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_turned_by_a_hangup() {
    let mut agent = start(&settings("1MiB", "")).await;
    let off = settings("1MiB", "").replace("[upgrade]\n", "[upgrade]\nenabled = false\n");
    reload(&mut agent, &off, "the settings were reloaded").await;
    let refused = async || {
        let open = agent.ask(OPEN).await;
        (open != Some(answer(0, "ok"))).then_some(())
    };
    assert!(wpk_testkit::wait_until(DEADLINE, refused).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_end_with_status_2() {
    let home = home();
    for more in [&[][..], &["check"]] {
        let mut command = command(home.path(), "[listen]\ntimeout = \"never\"\n");
        command.args(more);
        let log = home.path().join("agent.log");
        let mut process = Process::start(command, log).unwrap();
        let status = process.wait(DEADLINE).await.unwrap();
        assert_eq!(status.code(), Some(2), "{}", process.output());
    }
}
