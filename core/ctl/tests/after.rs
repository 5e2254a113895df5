//! `wpkctl cancel`, `tasks` and `result --all` against a manager on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::*;
use serde_json::{Value, json};

fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

/// An item of `upgrade_cancel`.
fn outcome(agent: i64, word: &str, status: Option<&str>) -> Value {
    let mut item = task(agent, status.unwrap_or("Updating"), None);
    item["outcome"] = word.into();
    item
}

fn cancelling(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        let items = agents(request).into_iter().filter_map(|agent| {
            Some(match agent {
                4 => outcome(4, "begun", None),
                5 => outcome(5, "ended", Some("Updated")),
                6 => json!({"error": 0, "message": "Success", "agent": 6, "outcome": "no_task"}),
                7 => {
                    let mut item = outcome(7, "of_rollout", Some("In queue"));
                    item["rollout"] = "prod\u{1b}[2J".into();
                    item
                }
                8 => outcome(8, "not_ours", None),
                9 => outcome(9, "postponed", None),
                10 => return None,
                _ => outcome(agent, "taken_back", Some("Cancelled")),
            })
        });
        answer(items.collect())
    })
}

#[test]
fn who_is_taken_back_and_who_not_is_told_in_a_line_each_kind() {
    let dir = tempfile::tempdir().unwrap();
    let manager = cancelling(&dir);
    let said = ask(&manager, &["cancel", "1-3"]).ended(0);
    assert_eq!(
        said.out,
        "agent 001-003: taken back; its installer was not begun, and never is\n"
    );
    let said = ask(&manager, &["cancel", "1-10"]).ended(1);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 8, "{}", said.out);
    assert!(lines[0].starts_with("agent 001-003: taken back;"));
    let has = |agent: &str, words: &str| {
        let line = lines.iter().find(|line| line.starts_with(agent)).unwrap();
        assert!(
            line.contains("not taken back") && line.contains(words),
            "{line}"
        );
    };
    has("agent 004", "its installer was begun");
    has("agent 005", "had ended before (Updated)");
    has("agent 006", "no task");
    has("agent 007", "`wpkctl rollout skip prod");
    assert!(!said.out.contains('\u{1b}'), "{}", said.out);
    has("agent 008", "another program");
    has("agent 009", "another release");
    has("agent 010", "did not answer for this agent");
    for bad in 4..=10 {
        ask(&manager, &["cancel", &bad.to_string()]).ended(1);
    }
}

#[test]
fn scripts_are_told_of_each_agent_and_of_all_together() {
    let dir = tempfile::tempdir().unwrap();
    let manager = cancelling(&dir);
    let objects = ask(&manager, &["cancel", "1", "4", "7", "--json"])
        .ended(1)
        .objects();
    let outcomes: Vec<&Value> = objects.iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes[..3], ["taken_back", "begun", "of_rollout"]);
    assert_eq!(objects[0]["event"], "cancel");
    assert_eq!(objects[0]["status"], "Cancelled");
    assert_eq!(objects[0]["task_id"], 101);
    let summary = json!({
        "event": "summary", "taken_back": 1, "not_taken_back": 2, "exit_status": 1,
    });
    assert_eq!(objects[3], summary);
    // Of more than one request as well.
    ask(&manager, &["cancel", "11-2500"]).ended(0);
    let asked = manager.asked("upgrade_cancel");
    let sizes: Vec<usize> = asked.iter().map(|one| agents(one).len()).collect();
    assert_eq!(sizes[1..], [1_000, 1_000, 490]);
    ask(&manager, &["cancel"]).ended(2);
}

#[test]
fn a_manager_that_takes_nothing_back_or_goes_away_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let mut asked = 0;
    let manager = Manager::start(&dir.path().join("s"), move |request| {
        asked += 1;
        let first = agents(request)[0];
        match (first, asked) {
            (1, _) => refusal(3, "JSON parameter not recognized"),
            (2, _) => refusal(
                3,
                "the task store is not available: it cannot take tasks back",
            ),
            (3, _) => answer(
                (agents(request).into_iter())
                    .map(|agent| outcome(agent, "taken_back", Some("Cancelled")))
                    .collect(),
            ),
            _ => Reply::Close,
        }
    });
    let said = ask(&manager, &["cancel", "1"]).ended(1);
    assert!(
        said.err.contains("does not know `upgrade_cancel`"),
        "{}",
        said.err
    );
    let said = ask(&manager, &["cancel", "2"]).ended(1);
    assert!(said.err.contains("cannot take tasks back"), "{}", said.err);
    // What was taken back before is told.
    let said = ask(&manager, &["cancel", "3-2000"]).ended(1);
    said.begins("agent 003-1002: taken back;");
    assert!(
        said.err.contains("tasks may have been taken back"),
        "{}",
        said.err
    );
}

/// Tasks 5 to 1 as `upgrade_tasks` tells them, two on a page and one page empty.
fn listing(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        let parameters = &request["parameters"];
        let before = parameters["before"]["task"].as_i64().unwrap_or(99);
        let tasks: Vec<Value> = [
            (
                5,
                "Updating",
                json!({"step": "write", "sent": 450, "total": 1000}),
            ),
            (
                4,
                "Error",
                json!({"error_msg": "no, \"really\"", "late": false}),
            ),
            (
                3,
                "Updated",
                json!({"confirmation": "unconfirmed", "seen": "v4.7.0"}),
            ),
            (2, "Legacy", json!({"confirmation": "not_checked"})),
            (
                1,
                "Updated",
                json!({"confirmation": "confirmed", "late": true}),
            ),
        ]
        .into_iter()
        .filter(|(id, ..)| *id < before)
        .map(|(id, status, more)| {
            let mut item = task(id, status, None);
            item["task_id"] = id.into();
            item["name"] = format!("host{id}").into();
            item["created"] = (1_735_787_045 + id).into();
            let members = item.as_object_mut().unwrap();
            members.extend(more.as_object().unwrap().clone());
            item
        })
        .collect();
        let next = |task: i64| {
            let place = json!({"created": 1_735_787_045 + task, "task": task});
            json!({"error": 0, "message": "Success", "next": place})
        };
        if parameters["only"] == "live" {
            return answer(tasks.into_iter().take(1).collect());
        }
        // So many were looked at, and none was wanted.
        if before == 4 {
            return answer(vec![next(3)]);
        }
        let first: Vec<Value> = match before {
            3 => tasks
                .into_iter()
                .filter(|one| one["task_id"] != 3)
                .collect(),
            _ => tasks.into_iter().take(2).collect(),
        };
        let last = first.last().unwrap()["task_id"].as_i64().unwrap();
        match last {
            1 => answer(first),
            _ => answer([first, vec![next(last)]].concat()),
        }
    })
}

#[test]
fn what_runs_is_a_table_and_objects() {
    let dir = tempfile::tempdir().unwrap();
    let manager = listing(&dir);
    let said = ask(&manager, &["tasks"]).ended(0);
    assert_eq!(
        said.row("005"),
        [
            "005",
            "host5",
            "5",
            "node01",
            "2025/01/02",
            "03:04:10",
            "UTC",
            "upgrade",
            "Updating",
            "write",
            "45%"
        ]
    );
    let objects = ask(&manager, &["tasks", "--json", "--node", "node01"])
        .ended(0)
        .objects();
    assert_eq!(objects.len(), 1);
    assert_eq!(
        [
            &objects[0]["agent"],
            &objects[0]["sent"],
            &objects[0]["created"]
        ],
        [&json!(5), &json!(450), &json!(1_735_787_050)]
    );
    let asked = manager.asked("upgrade_tasks");
    assert_eq!(asked[1]["parameters"]["node"], "node01");
    assert_eq!(asked[1]["parameters"]["only"], "live");
    ask(&manager, &["tasks", "5", "7-9"]).ended(0);
    let asked = manager.asked("upgrade_tasks");
    assert_eq!(agents(&asked[2]), [5, 7, 8, 9]);
    let said = ask(&manager, &["tasks", "--limit", "0"]).ended(0);
    assert!(said.err.contains("more than 0 tasks"), "{}", said.err);
}

#[test]
fn the_history_goes_on_past_pages_without_any_and_tells_outcomes_apart() {
    let dir = tempfile::tempdir().unwrap();
    let manager = listing(&dir);
    let said = ask(&manager, &["result", "--all"]).ended(1);
    let column = |agent: &str| said.row(agent)[5].to_owned();
    assert_eq!(column("005"), "Updating");
    assert_eq!(column("004"), "Error");
    assert!(
        !said.out.contains("host3"),
        "it was passed over: {}",
        said.out
    );
    assert_eq!(column("002"), "Legacy");
    assert!(
        said.out.contains("the agent's word came late"),
        "{}",
        said.out
    );
    let objects = ask(&manager, &["result", "--all", "--json"])
        .ended(1)
        .objects();
    let outcomes: Vec<&Value> = objects.iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["updating", "failed", "legacy", "updated"]);
    assert_eq!(objects[3]["late"], true);
    let limited = ask(&manager, &["result", "--all", "--limit", "1"]).ended(0);
    assert!(
        limited.err.contains("more than 1 such tasks"),
        "{}",
        limited.err
    );
    // Whoever wants those that failed, or those since, means all of them.
    ask(&manager, &["result", "--failed"]).ended(1);
    let since = ["result", "--since", "1970-01-02", "--failed", "7"];
    ask(&manager, &since).ended(1);
    let asked = manager.asked("upgrade_tasks");
    let asked = &asked.last().unwrap()["parameters"];
    assert_eq!(asked["since"], 86_400);
    assert_eq!(asked["only"], "troubled");
    assert_eq!(asked["agents"], json!([7]));
}

#[test]
fn other_programs_get_it_as_csv() {
    let dir = tempfile::tempdir().unwrap();
    let manager = listing(&dir);
    let said = ask(&manager, &["result", "--all", "--csv"]).ended(1);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines[0],
        "agent,name,task,node,command,status,reason,created,updated,late,confirmation,seen"
    );
    assert_eq!(
        lines[2],
        "004,host4,4,node01,upgrade,Error,\"no, \"\"really\"\"\",2025/01/02 03:04:05,,,,"
    );
    assert!(lines[4].ends_with(",late,confirmed,"), "{}", lines[4]);
}

#[test]
fn who_asks_for_too_little_or_too_much_is_told() {
    for bad in [
        &["result"][..],
        &["result", "1", "--csv"],
        &["result", "1", "--limit", "5"],
        &["result", "--failed", "--log"],
        &["result", "--since", "2h", "--task", "1"],
        &["result", "--all", "--task", "1"],
        &["result", "--all", "--log"],
        &["result", "--all", "--since", "soon"],
        &["result", "--all", "--csv", "--json"],
    ] {
        run(bad).ended(2);
    }
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        let place = json!({"created": 7, "task": 7});
        answer(vec![
            json!({"error": 0, "message": "Success", "next": place}),
        ])
    });
    let said = ask(&manager, &["result", "--all"]).ended(1);
    assert!(
        said.err.contains("the same page of tasks again"),
        "{}",
        said.err
    );
}

/// Agent N's task is N, created in an order of its own, as a manager tells of a thousand agents.
fn crowded(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        let parameters = &request["parameters"];
        let created = |agent: i64| agent * 7_919 % 2_500;
        let before = match parameters["before"]["task"].as_i64() {
            Some(task) => (parameters["before"]["created"].as_i64().unwrap(), task),
            None => (i64::MAX, i64::MAX),
        };
        let mut tasks: Vec<(i64, i64)> = (agents(request).into_iter())
            .map(|agent| (created(agent), agent))
            .filter(|place| *place < before)
            .collect();
        tasks.sort_unstable_by(|one, other| other.cmp(one));
        let page = parameters["limit"].as_u64().unwrap() as usize;
        let next = tasks.get(page).and_then(|_| tasks.get(page - 1)).copied();
        tasks.truncate(page);
        let mut items: Vec<Value> = (tasks.into_iter())
            .map(|(created, agent)| {
                let mut item = task(agent, "Updating", None);
                item["task_id"] = agent.into();
                item["created"] = created.into();
                item
            })
            .collect();
        if let Some((created, task)) = next {
            let place = json!({"created": created, "task": task});
            items.push(json!({"error": 0, "message": "Success", "next": place}));
        }
        answer(items)
    })
}

#[test]
fn the_newest_of_all_comes_first_however_many_agents_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let manager = crowded(&dir);
    for command in [&["result", "--all"][..], &["tasks"]] {
        let created = |more: &[&str]| -> Vec<i64> {
            let said = ask(&manager, &[command, &["1-2500", "--json"], more].concat()).ended(0);
            let objects = said.objects();
            objects
                .iter()
                .map(|one| one["created"].as_i64().unwrap())
                .collect()
        };
        let all: Vec<i64> = (0..2_500).rev().collect();
        assert_eq!(created(&[]), all, "{command:?}");
        assert_eq!(created(&["--limit", "7"]), all[..7], "{command:?}");
    }
    for asked in manager.asked("upgrade_tasks") {
        assert!(agents(&asked).len() <= 1_000);
        // The lists that are held at a time are no longer than one is.
        assert!(asked["parameters"]["limit"].as_u64() <= Some(1_000 / 3));
    }
}
