//! The agent is what is upgraded, by its own installer (`core/agent/installer`): whatever is
//! killed meanwhile, afterwards either the old agent runs or the new one, and the manager
//! is told which, and why.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wpk_testkit::process::build;

use crate::stand::{DEADLINE, Stand};
use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_new_agent,
        "the agent runs",
        "its own installer brings a new one",
        "Done: Upgrade was successful; the new one runs"
    ),
    check!(
        one_that_does_not_start,
        "the agent runs",
        "its own installer brings one that does not start",
        "Failed: Upgrade failed: not healthy: the agent did not come back within 3 s: it does not \
         run; the time limit is over; the old version is back; the old one runs; works"
    ),
    check!(
        the_installer_killed,
        "an agent that does not start is waited for",
        "the installer is killed",
        "Failed: Upgrade failed: the installer was killed, or the machine went down, before it had \
         found the new version healthy; the old version is back; the old one runs; works"
    ),
    check!(
        the_watchdog_killed,
        "an agent that does not start is waited for",
        "the watchdog is killed",
        "Failed: Upgrade failed: not healthy: the agent did not come back within 3 s: it does not \
         run; the time limit is over; the old version is back; the old one runs; works"
    ),
    check!(
        both_killed,
        "an agent that does not start is waited for",
        "installer and watchdog are killed, the unit starts",
        "Failed: Upgrade failed: the installer was killed, or the machine went down, before it had \
         found the new version healthy; the old version is back; the old one runs; works"
    ),
    check!(
        the_agent_killed,
        "the installer has begun",
        "the agent is killed",
        "Done: Upgrade was successful; the new one runs"
    ),
];

/// What the new program ends with; the system does not look at it.
const NEW: &[u8] = b"the new one";
const JOURNAL: &str = "var/installer/journal";
/// What an installer has in its environment in the background, and its watchdog.
const INSTALLER: &str = "WPK_INSTALLER_BACKGROUND=";
const WATCHDOG: &str = "WPK_INSTALLER_WATCHDOG=";

/// Brings a new agent, one that starts or not, and has its installer run.
async fn bring(stand: &Stand, starts: bool) {
    let programs = build(&["wpk-agent", "wpk-agent-installer"]).unwrap();
    let installer = fs::read(programs.join("wpk-agent-installer")).unwrap();
    let mut program = b"#!/bin/sh\nexit 1\n".to_vec();
    if starts {
        program = fs::read(programs.join("wpk-agent")).unwrap();
        program.extend_from_slice(NEW);
    }
    let files: [(&str, &[u8]); 4] = [
        ("wpk-agent", &program),
        ("upgrade.sh", &installer),
        ("VERSION", b"v4.14.1\n"),
        ("within", if starts { b"30\n" } else { b"3\n" }),
    ];
    let answer = stand.upgrade(&files).await;
    assert_eq!(answer, (0, "0".to_owned()), "{}", stand.process.output());
}

/// Waits until the new program is in the place of the old one.
async fn until_changed(stand: &Stand) {
    let journal = stand.path(JOURNAL);
    let changed = || fs::read_to_string(&journal).is_ok_and(|text| text.contains("\nchanged\n"));
    stand.until("the change", changed).await;
}

/// Kills those processes of the home that have this in their environment.
fn kill(home: &Path, mark: &str) {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut killed = Vec::new();
    for entry in entries {
        let process = entry.path();
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let has = String::from_utf8_lossy(&environment)
            .split('\0')
            .any(|line| line.starts_with(mark));
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if has
            && fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == home)
            && let Some(pid) = pid.and_then(Pid::from_raw)
            && kill_process(pid, Signal::KILL).is_ok()
        {
            killed.push(pid.as_raw_nonzero().to_string());
        }
    }
    assert!(!killed.is_empty(), "{mark}: nobody was killed");
    // Until it is dead it holds its locks.
    let end = Instant::now() + DEADLINE;
    while !killed.iter().all(|pid| crate::stand::is_gone(pid)) {
        assert!(Instant::now() < end, "{mark}: {killed:?} do not die");
        std::thread::yield_now();
    }
}

/// The agent that runs in the home, by what it tells of itself.
fn agent(stand: &Stand) -> Option<Pid> {
    let text = fs::read(stand.path("var/run/wpk-agent.state")).ok()?;
    let told: Value = serde_json::from_slice(&text).ok()?;
    let pid = Pid::from_raw(told["pid"].as_i64()?.try_into().ok()?)?;
    let ready = told["ready"] == Value::Bool(true);
    let lives = !crate::stand::is_gone(&pid.as_raw_nonzero().to_string());
    (ready && lives).then_some(pid)
}

/// What is told at the end, and which agent runs then; ends it.
async fn ended(stand: Stand) -> String {
    let told = stand.told().await;
    stand.until("an agent", || agent(&stand).is_some()).await;
    let pid = agent(&stand).unwrap();
    let running = fs::read(format!("/proc/{}/exe", pid.as_raw_nonzero())).unwrap();
    let there = fs::read(stand.path("bin/wpk-agent")).unwrap();
    assert_eq!(running, there, "what runs is what is there");
    assert_eq!(stand.clear().await, 0);
    let left = ["journal", "previous", "finish"];
    let tidy = || left.map(|name| stand.path("var/installer").join(name).exists()) == [false; 3];
    stand.until("the end of the installer", tidy).await;
    let which = match running.ends_with(NEW) {
        true => "the new one runs".to_owned(),
        false => format!("the old one runs; {}", stand.works().await),
    };
    format!("{told}; {which}")
}

async fn a_new_agent() -> String {
    let stand = Stand::start_own().await;
    bring(&stand, true).await;
    ended(stand).await
}

async fn one_that_does_not_start() -> String {
    let stand = Stand::start_own().await;
    bring(&stand, false).await;
    ended(stand).await
}

async fn the_installer_killed() -> String {
    let stand = Stand::start_own().await;
    bring(&stand, false).await;
    until_changed(&stand).await;
    kill(stand.home.path(), INSTALLER);
    ended(stand).await
}

async fn the_watchdog_killed() -> String {
    let stand = Stand::start_own().await;
    bring(&stand, false).await;
    until_changed(&stand).await;
    kill(stand.home.path(), WATCHDOG);
    ended(stand).await
}

async fn both_killed() -> String {
    let stand = Stand::start_own().await;
    bring(&stand, false).await;
    until_changed(&stand).await;
    kill(stand.home.path(), WATCHDOG);
    kill(stand.home.path(), INSTALLER);
    // As the unit does before each start.
    let settled = tokio::process::Command::new(stand.path("var/installer/finish"))
        .arg("settle")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(settled.status.success(), "{settled:?}");
    ended(stand).await
}

async fn the_agent_killed() -> String {
    let mut stand = Stand::start_own().await;
    bring(&stand, true).await;
    // It has its answer: from here on the installer works in the background.
    stand.process.kill().await.unwrap();
    ended(stand).await
}
