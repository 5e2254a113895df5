//! `wpkctl upgrade --dry-run` against a manager on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::*;
use serde_json::{Value, json};

const FILE: &str = "wazuh_agent_v4.14.0_linux_amd64.deb.wpk";

/// Agent 2 is not active, agent 3 finds no repository; others would be upgraded.
fn manager(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        if request["command"] == "agent_list" {
            let after = request["parameters"]["after"].as_i64().unwrap_or(0);
            return answer(
                (after + 1..=3)
                    .map(|agent| listed(agent, "v4.7.0"))
                    .collect(),
            );
        }
        assert_eq!(request["parameters"]["dry_run"], true, "{request}");
        let item = |agent| match agent {
            2 => json!({"error": 8, "message": "Agent is not active", "agent": 2}),
            3 => json!({"error": 14, "message": "The repository is not reachable", "agent": 3,
                        "target": "v4.14.0", "file": null, "location": null,
                        "reason": "connection refused"}),
            agent => json!({"error": 0, "message": "Success", "agent": agent,
                            "target": "v4.14.0", "file": FILE,
                            "location": format!("https://repo.example/linux/deb/amd64/{FILE}")}),
        };
        answer(agents(request).into_iter().map(item).collect())
    })
}

fn dry_run(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket, "upgrade", "--dry-run"][..], more].concat())
}

#[test]
fn where_there_are_no_agents_there_is_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| answer(vec![]));
    let run = dry_run(&manager, &["--all"]).ended(0);
    assert_eq!(run.out, "There are no agents.\n");
    let objects = dry_run(&manager, &["--all", "--json"]).ended(0).objects();
    assert_eq!(objects[0]["would_upgrade"], 0);
}

#[test]
fn every_agent_gets_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = dry_run(&manager, &["--all"]).ended(1);
    let url = format!("https://repo.example/linux/deb/amd64/{FILE}");
    assert_eq!(
        run.row("001"),
        ["001", "upgrade", "v4.14.0", FILE, &url, "-"]
    );
    assert_eq!(
        run.row("002").join(" "),
        "002 refused - - - code 8: Agent is not active"
    );
    assert_eq!(
        run.row("003").join(" "),
        "003 refused v4.14.0 - - code 14: The repository is not reachable: connection refused"
    );
    assert!(
        run.out
            .ends_with("\n3 agents: 1 would be upgraded, 2 would not; nothing was changed\n"),
        "{}",
        run.out
    );
    dry_run(&manager, &["1"]).ended(0);
    let asked = manager.asked("upgrade");
    assert_eq!(agents(&asked[0]), [1, 2, 3]);
}

#[test]
fn agents_of_which_the_same_is_said_share_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = dry_run(&manager, &["1-2", "4-9", "11"]).ended(1);
    assert_eq!(run.row("001")[..2], ["001,004-009,011", "upgrade"]);
    assert_eq!(run.row("002")[..2], ["002", "refused"]);
    assert_eq!(run.out.lines().count(), 5, "{}", run.out);
    let objects = dry_run(&manager, &["4-9", "--json"]).ended(0).objects();
    assert_eq!(objects.len(), 7);
}

#[test]
fn json_tells_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let objects = dry_run(&manager, &["1", "3", "--json"]).ended(1).objects();
    assert_eq!(objects[0]["file"], FILE);
    assert_eq!(objects[0]["reason"], Value::Null);
    assert_eq!(objects[1]["error"], 14);
    assert_eq!(objects[1]["reason"], "connection refused");
    assert_eq!(
        objects[2],
        json!({"event": "summary", "dry_run": true, "would_upgrade": 1, "would_refuse": 1,
               "exit_status": 1})
    );
}

#[test]
fn a_file_is_asked_about_too() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    dry_run(&manager, &["1", "--file", "/a.wpk"]).ended(0);
    assert_eq!(
        manager.asked("upgrade_custom")[0]["parameters"],
        json!({"agents": [1], "file_path": "/a.wpk", "dry_run": true, "check_file": true})
    );
}

#[test]
fn a_manager_that_would_upgrade_instead_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        refusal(3, "JSON parameter not recognized")
    });
    let run = dry_run(&manager, &["1"]).ended(1);
    assert!(run.err.contains("nothing was asked for"), "{}", run.err);
    let commands: Vec<Value> = manager.requests.lock().unwrap().clone();
    assert_eq!(
        commands,
        [json!({"origin": {"module": "api"}, "command": "agent_list", "parameters": {"limit": 1}})]
    );
}

#[test]
fn a_manager_that_upgrades_nevertheless_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => answer(vec![]),
            _ => answer(agents(request).into_iter().map(created).collect()),
        }
    });
    let run = dry_run(&manager, &["1"]).ended(1);
    assert!(
        run.err.contains("took the dry run for an upgrade"),
        "{}",
        run.err
    );
}

#[test]
fn it_cannot_be_watched() {
    run(&["upgrade", "1", "--dry-run", "--watch"]).ended(2);
}
