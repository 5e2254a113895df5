//! `status --watch` where there is no terminal: lines, objects, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

const QUICK: [&str; 5] = ["status", "prod", "--watch", "--interval", "200ms"];

/// A manager whose rollout goes on with every look.
fn manager(dir: &tempfile::TempDir, last: RolloutState) -> Manager {
    let mut look = 0;
    answering(dir, move |_, _| {
        look += 1;
        let mut told = status(RolloutState::Running);
        if look > 1 {
            told.waves[0].counts.succeeded = 19;
            told.waves[0].counts.waiting = 0;
        }
        if look > 2 {
            told.waves[0].gate = GateWord::Passed;
            told.waves[0].passed = Some(NOW + 60);
            told.waves[0].gate_words = Words::default();
        }
        if look > 3 {
            told.state = last;
            told.counts.running = 0;
            if last == RolloutState::Halted {
                told.reason = Some("an operator said so".into());
            }
        }
        Some(vec![told.to_item()])
    })
}

#[test]
fn each_change_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, RolloutState::Converged);
    let run = ask(&manager, &[&["rollout"][..], &QUICK].concat()).ended(0);
    run.begins(
        "\
rollout prod to v4.14.7: running
gate of canary waits: 1 of 20 are running
agents: 18 succeeded, 1 running, 481 waiting
gate of canary passed 2026/11/30 00:54:20 UTC
rollout prod to v4.14.7: converged
rollout prod to v4.14.7: converged
  applied",
    );
    assert_eq!(manager.asked("rollout_status").len(), 4);
}

#[test]
fn each_change_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, RolloutState::Halted);
    let arguments = [&["--json", "rollout"][..], &QUICK].concat();
    let run = ask(&manager, &arguments).ended(1);
    let objects = run.objects();
    let states: Vec<&str> = (objects.iter())
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    // The last one is what the exit status is of.
    assert_eq!(
        states,
        ["running", "running", "running", "halted", "halted"]
    );
    let quiet = [&["--quiet"][..], &arguments].concat();
    assert_eq!(ask(&manager, &quiet).ended(1).objects().len(), 1);
}

#[test]
fn a_manager_that_restarts_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut look = 0;
    let manager = Manager::start(&dir.path().join("s"), move |_| {
        look += 1;
        let state = match look {
            2 | 3 => return Reply::Close,
            1 => RolloutState::Running,
            _ => RolloutState::Cancelled,
        };
        let mut told = status(state);
        told.counts.running = 0;
        let bytes = wpk_wire::Response::success(vec![told.to_item()]).to_bytes();
        Reply::Answer(serde_json::from_slice(&bytes).unwrap())
    });
    let run = ask(&manager, &[&["rollout"][..], &QUICK].concat()).ended(0);
    assert!(run.err.contains("trying again"), "{}", run.err);
    assert!(run.err.contains("the manager is back"), "{}", run.err);
}

#[test]
fn ctrl_c_ends_the_watching_only() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        Some(vec![status(RolloutState::Running).to_item()])
    });
    let socket = manager.socket.to_str().unwrap();
    let mut child = program(&[&["--socket", socket, "rollout"][..], &QUICK].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "rollout prod to v4.14.7: running\n");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last = rest.last().unwrap();
    assert_eq!(last, "No longer watched; the rollout goes on: prod");
    assert!(manager.asked("rollout_pause").is_empty());
}
