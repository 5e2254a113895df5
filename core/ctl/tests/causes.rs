//! Why an upgrade failed, and whether one that did not was confirmed: what the
//! manager's timelines say, in `wpkctl result` and `wpkctl upgrade --watch`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::*;
use serde_json::{Value, json};

const SAID: &str = "Could not verify signature (error 13)";
const ADVICE: &str = "look at the agent's words";
const REASON: &str = "Send upgrade command error";

fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

/// An entry of a timeline that says why it failed.
fn failure(said: &str) -> Value {
    json!({
        "time": "2025/01/02 03:04:05", "at": 1_735_787_045, "step": "upgrade",
        "asked": "agent 001", "failure": {"code": 23, "said": said, "advice": ADVICE},
    })
}

/// The items of `upgrade_timeline`: those of the results, with more.
fn told(request: &Value, more: impl Fn(i64) -> (Value, Value)) -> Reply {
    let items = agents(request).into_iter().map(|agent| {
        let (mut item, more) = more(agent);
        let more = more.as_object().unwrap().clone();
        item.as_object_mut().unwrap().extend(more);
        item
    });
    answer(items.collect())
}

/// What becomes of the agents: 1 is updated and confirmed, 2 has a bad signature,
/// 3 is updated and keeps its version, 4 is updated and was not checked, 5 times out.
fn ending(agent: i64) -> (Value, Value) {
    let updated = |more: Value| (task(agent, "Updated", None), more);
    match agent {
        1 => updated(json!({"confirmation": "confirmed"})),
        2 => {
            let cause = failure(SAID);
            let more = json!({"cause": cause, "timeline": [
                {"time": "2025/01/02 03:04:01", "at": 1_735_787_041, "step": "created"}, cause,
            ], "older": 0, "late": false});
            (task(2, "Error", Some(REASON)), more)
        }
        3 => updated(json!({"confirmation": "unconfirmed", "seen": "v4.7.0"})),
        4 => updated(json!({"confirmation": "not_checked"})),
        _ => (task(agent, "Timeout", None), json!({})),
    }
}

fn manager(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64().unwrap_or(0);
                answer(
                    (after + 1..=9)
                        .map(|agent| listed(agent, "v4.7.0"))
                        .collect(),
                )
            }
            "upgrade" => answer(agents(request).into_iter().map(created).collect()),
            "upgrade_result" => told(request, |agent| (ending(agent).0, json!({}))),
            "upgrade_timeline" => {
                if let Some(tasks) = request["parameters"]["tasks"].as_array() {
                    let none = json!({"error": 3, "message": "No task in DB", "task_id": 7});
                    let task = |task: &Value| match task.as_i64().unwrap() {
                        102 => {
                            let (mut item, more) = ending(2);
                            let members = item.as_object_mut().unwrap();
                            members.extend(more.as_object().unwrap().clone());
                            item
                        }
                        _ => none.clone(),
                    };
                    return answer(tasks.iter().map(task).collect());
                }
                told(request, ending)
            }
            "upgrade_changes" => refusal(2, "Required parameters in json message where not found"),
            other => panic!("{other}"),
        }
    })
}

fn watch(manager: &Manager, more: &[&str]) -> Run {
    let quick = ["upgrade", "--watch", "--interval", "10ms"];
    ask(manager, &[&quick[..], more].concat())
}

#[test]
fn the_end_of_a_watch_tells_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = watch(&manager, &["1-2", "--version", "v4.14.0"]).ended(1);
    let why = format!("{REASON}: {SAID}; {ADVICE}");
    assert!(
        run.out
            .contains(&format!("agent 002 (host2): Error: {why}\n")),
        "{}",
        run.out
    );
    let row = run.out.lines().find(|line| line.starts_with("002"));
    assert!(row.unwrap().contains(&why), "{}", run.out);

    let run = watch(&manager, &["2", "--json"]).ended(1);
    let objects = run.objects();
    let event = objects
        .iter()
        .find(|object| object["event"] == "status" && object["status"] == "Error");
    let summary = &objects.last().unwrap()["agents"][0];
    for object in [event.unwrap(), summary] {
        assert_eq!(object["reason"], REASON);
        assert_eq!(
            object["cause"],
            json!({"code": 23, "said": SAID, "advice": ADVICE})
        );
    }
}

#[test]
fn what_is_not_confirmed_is_counted_apart_and_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = watch(&manager, &["1", "3", "4", "--version", "v4.7.0"]).ended(3);
    assert!(
        run.out
            .ends_with("3 agents: 2 updated, 1 updated but not confirmed\n"),
        "{}",
        run.out
    );
    assert_eq!(run.row("003")[4], "Unconfirmed");
    assert!(run.out.contains("not seen, but v4.7.0"), "{}", run.out);
    watch(&manager, &["1", "4", "--version", "v4.7.0"]).ended(0);
    watch(&manager, &["1", "2", "3", "5"]).ended(1);
    let run = watch(&manager, &["1", "5"]).ended(3);
    assert!(
        run.out.ends_with("2 agents: 1 updated, 1 timed out\n"),
        "{}",
        run.out
    );

    let run = watch(&manager, &["1", "3", "--json"]).ended(3);
    let summary = run.objects().pop().unwrap();
    assert_eq!(
        [
            &summary["updated"],
            &summary["unconfirmed"],
            &summary["exit_status"]
        ],
        [1, 1, 3]
    );
    // The status is the protocol's; what is known beside it stands beside it.
    let row = &summary["agents"][1];
    assert_eq!(
        [&row["status"], &row["confirmation"], &row["seen"]],
        ["Updated", "unconfirmed", "v4.7.0"]
    );
}

/// A manager that has confirmed agent 1 when it is asked for the `last` time.
fn confirming(dir: &tempfile::TempDir, last: usize) -> Manager {
    let mut asked = 0;
    Manager::start(
        &dir.path().join("s"),
        move |request| match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            "upgrade" => answer(vec![created(1)]),
            "upgrade_result" => answer(vec![task(1, "Updated", None)]),
            "upgrade_timeline" => {
                asked += 1;
                let word = if asked < last { "awaited" } else { "confirmed" };
                told(request, |_| {
                    (task(1, "Updated", None), json!({"confirmation": word}))
                })
            }
            "upgrade_changes" => refusal(2, "Required parameters in json message where not found"),
            other => panic!("{other}"),
        },
    )
}

#[test]
fn a_watch_waits_until_the_manager_has_decided() {
    let dir = tempfile::tempdir().unwrap();
    let manager = confirming(&dir, 3);
    let run = watch(&manager, &["1", "--version", "v4.14.0"]).ended(0);
    let waits = "agent 001: Confirming: the agent's new version is awaited\n";
    assert!(run.out.contains(waits), "{}", run.out);
    assert_eq!(run.row("001")[1..5], ["-", "-", "v4.14.0", "Updated"]);
    let results = manager.asked("upgrade_result").len();
    assert_eq!(results, 1, "its result is known");
}

/// Of a package of one's own nobody knows the version: the agent tells it a moment after its
/// result.
#[test]
fn what_a_package_of_ones_own_brought_is_waited_for_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.wpk");
    std::fs::write(&file, b"WPK").unwrap();
    let mut listed_so_often = 0;
    let manager = Manager::start(
        &dir.path().join("s"),
        move |request| match request["command"].as_str().unwrap() {
            "agent_list" => {
                listed_so_often += 1;
                let version = if listed_so_often < 4 {
                    "v4.7.0"
                } else {
                    "v4.9.9"
                };
                answer(vec![listed(1, version)])
            }
            "upgrade_custom" => answer(vec![created(1)]),
            "upgrade_result" => answer(vec![task(1, "Updated", None)]),
            "upgrade_timeline" => told(request, |_| {
                (
                    task(1, "Updated", None),
                    json!({"confirmation": "not_checked"}),
                )
            }),
            "upgrade_changes" => refusal(2, "Required parameters in json message where not found"),
            other => panic!("{other}"),
        },
    );
    let run = watch(&manager, &["1", "--file", file.to_str().unwrap()]).ended(0);
    assert_eq!(run.row("001")[2..5], ["v4.7.0", "v4.9.9", "Updated"]);
}

#[test]
fn the_wait_for_a_version_can_be_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let manager = confirming(&dir, usize::MAX);
    for bound in [["--confirm-for", "0s"], ["--timeout", "300ms"]] {
        let run = watch(&manager, &[&["1"], &bound[..]].concat()).ended(3);
        assert!(
            run.out
                .ends_with("1 agents: 1 updated and still to be confirmed\n"),
            "{}",
            run.out
        );
        let goes_on = "the checks of the new versions of 1 agents go on in the manager";
        assert!(run.err.contains(goes_on), "{}", run.err);
        assert!(!run.out.contains("under way"), "{}", run.out);
    }
}

#[test]
fn results_tell_causes_and_doubts() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = ask(&manager, &["result", "1-5"]).ended(1);
    let why = format!("{REASON}: {SAID}; {ADVICE}");
    assert!(run.out.contains(&why), "{}", run.out);
    assert_eq!(run.row("001")[5..7], ["Updated", "-"]);
    assert_eq!(run.row("003")[5], "Unconfirmed");
    assert_eq!(run.row("004")[5..7], ["Updated", "-"]);
    for (agents, exit) in [("1", 0), ("4", 0), ("3", 3), ("5", 3), ("2", 1)] {
        ask(&manager, &["result", agents]).ended(exit);
    }
    ask(&manager, &["result", "1-4"]).ended(1);
    ask(&manager, &["result", "1", "3-5"]).ended(3);
    // Only those whose end says little are asked about.
    let asked = manager.asked("upgrade_timeline");
    assert_eq!(agents(&asked[0]), [1, 2, 3, 4, 5]);
    assert_eq!(asked[0]["parameters"]["entries"], 0);
}

#[test]
fn a_log_tells_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    for which in [&["2"][..], &["--task", "102"]] {
        let run = ask(&manager, &[&["result", "--log"], which].concat()).ended(1);
        assert!(
            run.out.contains("\nagent 002, task 102: Error\n"),
            "{}",
            run.out
        );
        let lines = run.out.lines();
        let last: Vec<&str> = lines.last().unwrap().split_whitespace().collect();
        assert_eq!(
            last[..5],
            ["2025/01/02", "03:04:05", "upgrade", "agent", "001"]
        );
        let what = format!("code 23: {SAID}; {ADVICE}");
        assert!(last.join(" ").ends_with(&what), "{}", run.out);
        assert!(
            run.out.contains("2025/01/02 03:04:01  created"),
            "{}",
            run.out
        );

        let run = ask(&manager, &[&["result", "--log", "--json"], which].concat()).ended(1);
        let object = &run.objects()[0];
        assert_eq!(object["timeline"][1], failure(SAID));
        assert_eq!(object["cause"], failure(SAID));
        assert_eq!(object["status"], "Error");
    }
    let run = ask(&manager, &["result", "--task", "7"]).ended(1);
    assert!(run.out.contains("code 3: No task in DB"), "{}", run.out);
}

#[test]
fn a_manager_without_timelines_is_told_of_and_goes_without() {
    let dir = tempfile::tempdir().unwrap();
    for code in [2, 3] {
        let path = dir.path().join(format!("s{code}"));
        let manager = Manager::start(&path, move |request| {
            match request["command"].as_str().unwrap() {
                "upgrade_result" => answer(vec![task(2, "Error", Some(REASON))]),
                _ => refusal(code, "not recognized"),
            }
        });
        let run = ask(&manager, &["result", "2"]).ended(1);
        assert_eq!(run.err, "");
        let run = ask(&manager, &["result", "2", "--log"]).ended(1);
        assert!(
            run.err.contains("this manager has no timelines"),
            "{}",
            run.err
        );
        assert!(run.out.contains(REASON), "{}", run.out);
        let run = ask(&manager, &["result", "--task", "2"]).ended(1);
        assert!(run.err.contains("has no timelines"), "{}", run.err);
    }
}

#[test]
fn a_manager_that_cuts_its_answers_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        let mut items: Vec<Value> = (agents(request).into_iter())
            .map(|agent| task(agent, "Error", Some(REASON)))
            .collect();
        if request["command"] == "upgrade_timeline" {
            items.truncate(2);
            items.retain(|item| item["agent"] != 5);
        }
        answer(items)
    });
    // The fifth is never answered for, and holds nothing up.
    ask(&manager, &["result", "1-5"]).ended(1);
    let asked: Vec<_> = manager
        .asked("upgrade_timeline")
        .iter()
        .map(agents)
        .collect();
    assert_eq!(asked, [vec![1, 2, 3, 4, 5], vec![3, 4, 5], vec![5]]);
}

#[test]
fn words_of_a_timeline_cannot_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let evil = format!(
        "\u{1b}[2J\u{9b}31mfell\u{202e} over\n{}",
        "x".repeat(100_000)
    );
    let manager = Manager::start(&dir.path().join("s"), move |request| {
        let cause = json!({
            "time": evil, "at": 1, "step": evil, "asked": evil, "detail": evil,
            "failure": {"code": 23, "said": evil, "advice": evil},
        });
        let more = json!({"cause": cause, "timeline": [cause], "seen": evil});
        match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            "upgrade" => answer(vec![created(1)]),
            _ => told(request, |_| (task(1, "Error", Some(&evil)), more.clone())),
        }
    });
    for arguments in [
        &["result", "1", "--log"][..],
        &["result", "1", "--log", "--json"],
        &["upgrade", "--watch", "1"],
        &["upgrade", "--watch", "1", "--json"],
    ] {
        let run = ask(&manager, arguments).ended(1);
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!run.out.contains(steers), "{arguments:?}");
        assert!(run.out.contains("fell"), "{arguments:?}");
        let people = !arguments.contains(&"--json");
        assert!(!people || run.out.len() < 50_000, "{}", run.out.len());
    }
}
