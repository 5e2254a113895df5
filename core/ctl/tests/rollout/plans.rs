//! `plan`, `apply`, `rehearse`.

use serde_json::json;
use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

#[test]
fn a_plan_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| {
        (command == "rollout_plan").then(|| vec![planned(PlannedChange::Begins).to_item()])
    });
    let file = definition(&dir);
    let run = ask(&manager, &["rollout", "plan", &file]).ended(0);
    assert_eq!(
        run.out,
        format!(
            "\
rollout prod to v4.14.7: begins
  wave    agents  may fail
  canary  20      1         strict: at most 2 at once
  rest    480     4
  sites: lyon 300, default 200
  platforms: ubuntu 400, windows 90, not known 10
  not connected now: 14 agents of these
  left out, held, or run it already: 3 agents more
  belong to rollouts applied before: early 12
  cannot be upgraded: 5 agents
      5  there are no packages for solaris
Its sites take the place of those that were there before.
Most bandwidth: lyon 20 Mbit/s
Earliest end: 2026/11/30 00:53:20 UTC
  assumed: an installation takes 60 s
Apply it with: wpkctl rollout apply {file}
"
        )
    );
    let asked = parameters_of(&manager, "rollout_plan");
    assert_eq!(
        asked,
        json!({"definition": "[[rollout]]\nname = \"prod\"\n"})
    );
    let json = ask(&manager, &["--json", "rollout", "plan", &file]).ended(0);
    assert_eq!(object(&json)["digest"], DIGEST);
}

#[test]
fn what_could_not_start_ends_badly() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, _| {
        let mut plan = planned(PlannedChange::Begins);
        plan.rollouts[0].problems = vec!["wave canary has 3 agents, and 20 must be begun".into()];
        plan.earliest_end = None;
        plan.no_end = Some("rollout prod cannot start".into());
        Some(vec![plan.to_item()])
    });
    let run = ask(&manager, &["rollout", "plan", &definition(&dir)]).ended(1);
    let out = &run.out;
    assert!(
        out.contains("  cannot start: wave canary has 3 agents"),
        "{out}"
    );
    assert!(
        out.contains("No end is in sight: rollout prod cannot"),
        "{out}"
    );
}

#[test]
fn mistakes_are_told_in_the_words_of_the_manager() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        refusal(
            3,
            "[[rollout]] \"prod\": wave: is missing\n[[site]] 2: name: is missing",
        )
    });
    let file = definition(&dir);
    let run = ask(&manager, &["rollout", "plan", &file]).ended(1);
    assert_eq!(
        run.err,
        "wpkctl: the manager refused `rollout_plan` with code 3: [[rollout]] \"prod\": wave: is \
         missing\n[[site]] 2: name: is missing\n"
    );
    let none = ask(&manager, &["rollout", "plan", "/no/such.toml"]).ended(1);
    assert!(none.err.contains("/no/such.toml"), "{}", none.err);
    let binary = dir.path().join("b");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    let run = ask(&manager, &["rollout", "plan", binary.to_str().unwrap()]).ended(2);
    assert!(run.err.contains("no UTF-8"), "{}", run.err);
    std::fs::write(&binary, vec![b'#'; LONGEST_DEFINITION + 1]).unwrap();
    let run = ask(&manager, &["rollout", "plan", binary.to_str().unwrap()]).ended(2);
    assert!(run.err.contains("longer than"), "{}", run.err);
}

#[test]
fn a_manager_without_rollouts_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_hold" => refusal(3, "JSON parameter not recognized"),
            _ => refusal(2, "Required parameters in json message where not found"),
        }
    });
    for arguments in [&["rollout", "list"][..], &["agent", "hold", "7"]] {
        let run = ask(&manager, arguments).ended(1);
        assert!(run.err.contains("need a wpkd that has them"), "{}", run.err);
    }
}

#[test]
fn what_was_planned_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| match command {
        "rollout_plan" => Some(vec![planned(PlannedChange::Begins).to_item()]),
        "rollout_apply" => Some(vec![in_list(RolloutState::Running).to_item()]),
        _ => None,
    });
    let file = definition(&dir);
    // Without a terminal nobody can be asked.
    let run = ask(&manager, &["rollout", "apply", &file]).ended(2);
    assert!(run.err.contains("give --yes"), "{}", run.err);
    assert!(manager.asked("rollout_plan").is_empty());

    let run = ask(&manager, &["rollout", "apply", "--yes", &file]).ended(0);
    assert!(
        run.out.starts_with("rollout prod to v4.14.7: begins"),
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("rollout prod: applied, running\n"),
        "{}",
        run.out
    );
    let sent = parameters_of(&manager, "rollout_apply");
    assert_eq!(sent["digest"], DIGEST);
    assert_eq!(sent["definition"], "[[rollout]]\nname = \"prod\"\n");

    let json = ask(
        &manager,
        &["--json", "-q", "rollout", "apply", "--yes", &file],
    )
    .ended(0);
    let last = object(&json);
    assert_eq!(last["event"], "applied");
    assert_eq!(last["rollouts"][0]["state"], "running");
}

#[test]
fn what_changes_nothing_is_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |command, _| {
        let mut plan = planned(PlannedChange::Unchanged);
        plan.replaces_sites = false;
        (command == "rollout_plan").then(|| vec![plan.to_item()])
    });
    let run = ask(&manager, &["rollout", "apply", "--yes", &definition(&dir)]).ended(0);
    assert!(
        run.out.ends_with("Nothing is to be changed.\n"),
        "{}",
        run.out
    );
    assert!(manager.asked("rollout_apply").is_empty());
}

#[test]
fn what_changed_meanwhile_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "rollout_plan" => {
                let items = vec![planned(PlannedChange::Begins).to_item()];
                let bytes = wpk_wire::Response::success(items).to_bytes();
                Reply::Answer(serde_json::from_slice(&bytes).unwrap())
            }
            _ => refusal(3, "this is not what was planned; plan again"),
        }
    });
    let run = ask(&manager, &["rollout", "apply", "--yes", &definition(&dir)]).ended(1);
    assert!(run.err.contains("not what was planned"), "{}", run.err);
}

#[test]
fn whoever_does_not_hear_that_it_was_applied_is_told_where_to_look() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "rollout_plan" => {
                let items = vec![planned(PlannedChange::Begins).to_item()];
                let bytes = wpk_wire::Response::success(items).to_bytes();
                Reply::Answer(serde_json::from_slice(&bytes).unwrap())
            }
            _ => Reply::Close,
        }
    });
    let run = ask(&manager, &["rollout", "apply", "--yes", &definition(&dir)]).ended(1);
    assert!(run.err.contains("wpkctl rollout history"), "{}", run.err);
    assert_eq!(manager.asked("rollout_apply").len(), 1);
}

#[test]
fn a_rehearsal_is_told_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let manager = answering(&dir, |_, parameters| {
        let event = |at, what, wave: Option<&str>, agents, words: Option<&str>| RehearsedEvent {
            at,
            rollout: "prod".into(),
            what,
            wave: wave.map(Into::into),
            agents,
            words: words.map(Into::into),
        };
        let ends = parameters["seed"] != 2;
        let last = match ends {
            true => event(
                NOW + 7_260,
                RehearsedWhat::Passed,
                Some("canary"),
                None,
                Some("20 were begun and watched, 0 failed, 1 may"),
            ),
            false => event(
                NOW + 90,
                RehearsedWhat::Halted,
                None,
                None,
                Some("2 of 20 agents of wave canary failed, and 1 may"),
            ),
        };
        let state = match ends {
            true => RolloutState::Converged,
            false => RolloutState::Halted,
        };
        let played = Rehearsed {
            began: NOW,
            events: vec![
                event(NOW, RehearsedWhat::Opened, Some("canary"), Some(20), None),
                last,
            ],
            ended: ends.then_some(NOW + 90_000),
            most_down: 12,
            peak_bandwidth: vec![SiteRate {
                site: "lyon".into(),
                bytes_per_second: 2_500_000,
            }],
            failed: 2,
            bounds: vec![RehearsedBound {
                rollout: "prod".into(),
                wave: "canary".into(),
                most: 2,
            }],
            rollouts: vec![RehearsedRollout {
                name: "prod".into(),
                state,
                reason: None,
                counts: StateCounts {
                    succeeded: 500,
                    ..StateCounts::default()
                },
            }],
            ..Rehearsed::default()
        };
        Some(vec![played.to_item()])
    });
    let file = definition(&dir);
    let odds = [
        "--failure-rate=2%",
        "--offline=10%",
        "--speed=20Mbit/s",
        "--file-size=12MiB",
        "--install-time=2m",
        "--seed=1",
    ];
    let run = ask(
        &manager,
        &[&["rollout", "rehearse", &file][..], &odds].concat(),
    )
    .ended(0);
    assert_eq!(
        run.out,
        "\
2026/11/30 00:53:20 UTC +0s      prod wave canary opened with 20 agents
2026/11/30 02:54:20 UTC +2h 1m   prod wave canary passed: 20 were begun and watched, 0 failed, 1 may
rollout prod: converged: 500 succeeded
Ended 2026/12/01 01:53:20 UTC after 1d 1h.
Most down at once: 12 agents
Installations that failed: 2
Most bandwidth, about: lyon 20 Mbit/s
A bad release breaks at most 2 of wave canary in rollout prod
"
    );
    let asked = parameters_of(&manager, "rollout_rehearse");
    let expected = json!({
        "definition": asked["definition"], "failure_rate": "2%", "offline": "10%",
        "speed": "20Mbit/s", "file_size": 12 << 20, "install_time": 120, "seed": 1,
    });
    assert_eq!(asked, expected);
    let halted = ask(&manager, &["rollout", "rehearse", &file, "--seed=2"]).ended(1);
    assert!(halted.out.contains("it was halted"), "{}", halted.out);
}
