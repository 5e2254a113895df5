//! `pause`, `resume`, `halt`, `cancel`, `retry`, `skip`, `settle`.

use serde_json::{Value, json};
use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

fn manager(dir: &tempfile::TempDir) -> Manager {
    answering(dir, |command, parameters| {
        let mut rollout = in_list(match command {
            "rollout_pause" => RolloutState::Paused,
            "rollout_halt" => RolloutState::Halted,
            "rollout_cancel" => RolloutState::Cancelled,
            "rollout_resume" | "rollout_retry" | "rollout_skip" | "rollout_settle" => {
                RolloutState::Running
            }
            _ => return None,
        });
        rollout.changed = match &parameters["agents"] {
            Value::Array(agents) => Some(agents.len() as u64),
            _ => (parameters["failed"] == true).then_some(12),
        };
        Some(vec![rollout.to_item()])
    })
}

#[test]
fn each_change_is_one_message_and_says_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let cases: [(&[&str], &str, Value, &str); 9] = [
        (
            &["pause", "prod"],
            "rollout_pause",
            json!({"name": "prod"}),
            "rollout prod: paused; what was begun ends by itself\n",
        ),
        (
            &["resume", "prod"],
            "rollout_resume",
            json!({"name": "prod"}),
            "rollout prod: resumed\n",
        ),
        (
            &["halt", "prod", "--reason", "ticket 12"],
            "rollout_halt",
            json!({"name": "prod", "reason": "ticket 12"}),
            "rollout prod: halted; what was begun ends by itself\n",
        ),
        (
            &["cancel", "prod"],
            "rollout_cancel",
            json!({"name": "prod"}),
            "rollout prod: cancelled; what was begun ends by itself\n",
        ),
        (
            &["retry", "prod", "7,9-10"],
            "rollout_retry",
            json!({"name": "prod", "agents": [7, 9, 10]}),
            "rollout prod: 3 agents retried\n",
        ),
        (
            &["retry", "prod", "--failed"],
            "rollout_retry",
            json!({"name": "prod", "failed": true}),
            "rollout prod: 12 agents retried\n",
        ),
        (
            &["skip", "prod", "7"],
            "rollout_skip",
            json!({"name": "prod", "agents": [7]}),
            "rollout prod: 1 agent skipped\n",
        ),
        (
            &["settle", "prod", "7", "succeeded"],
            "rollout_settle",
            json!({"name": "prod", "agent": 7, "succeeded": true}),
            "agent 007 in rollout prod: settled as succeeded\n",
        ),
        (
            &["settle", "prod", "7", "failed"],
            "rollout_settle",
            json!({"name": "prod", "agent": 7, "succeeded": false}),
            "agent 007 in rollout prod: settled as failed\n",
        ),
    ];
    for (arguments, command, parameters, said) in cases {
        let run = ask(&manager, &[&["rollout"][..], arguments].concat()).ended(0);
        assert_eq!(run.out, said, "{arguments:?}");
        let last = manager.asked(command).pop().unwrap();
        assert_eq!(last["parameters"], parameters, "{arguments:?}");
    }
}

#[test]
fn more_agents_than_one_message_names_go_in_several() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let arguments = ["--json", "rollout", "skip", "prod", "1-25000"];
    let run = ask(&manager, &arguments).ended(0);
    assert_eq!(object(&run)["changed"], 25_000);
    let sizes: Vec<usize> = (manager.asked("rollout_skip").iter())
        .map(|request| agents(request).len())
        .collect();
    assert_eq!(sizes, [10_000, 10_000, 5_000]);
}

#[test]
fn what_is_refused_is_told_in_the_words_of_the_manager() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        refusal(3, "rollout prod is paused already")
    });
    let run = ask(&manager, &["rollout", "pause", "prod"]).ended(1);
    assert!(
        run.err.contains("rollout prod is paused already"),
        "{}",
        run.err
    );
    let json = ask(&manager, &["--json", "rollout", "pause", "prod"]).ended(1);
    assert_eq!(object(&json)["event"], "error");
}

#[test]
fn what_is_halted_again_at_once_ends_badly() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        let rollout = ListedRollout {
            reason: Some("2 of 20 agents failed, and 1 may".into()),
            ..in_list(RolloutState::Halted)
        };
        Some(vec![rollout.to_item()])
    });
    let run = ask(&manager, &["rollout", "resume", "prod"]).ended(1);
    assert!(run.err.contains("is halted again: 2 of 20"), "{}", run.err);
    let run = ask(&manager, &["rollout", "retry", "prod", "--failed"]).ended(0);
    assert!(
        run.out.contains("wpkctl rollout resume prod"),
        "{}",
        run.out
    );
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    for arguments in [
        &["rollout", "retry", "prod"][..],
        &["rollout", "retry", "prod", "7", "--failed"],
        &["rollout", "skip", "prod"],
        &["rollout", "settle", "prod", "7"],
        &["rollout", "settle", "prod", "7", "perhaps"],
        &["rollout", "settle", "prod", "7-8", "failed"],
        &["rollout", "pause"],
        &[
            "rollout",
            "status",
            "prod",
            "--watch",
            "--interval",
            "100ms",
        ],
    ] {
        ask(&manager, arguments).ended(2);
    }
    assert!(manager.requests.lock().unwrap().is_empty());
}
