//! `wpkctl result`, `agents` and `agent enroll` against a manager on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::*;
use serde_json::{Value, json};

fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

#[test]
fn results_are_a_table_and_an_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        if request["command"] == "agent_list" {
            return answer(vec![]);
        }
        let items = agents(request).into_iter().filter_map(|agent| match agent {
            1 => Some(task(1, "Updated", None)),
            2 => Some(task(2, "Updating", None)),
            3 => Some(task(3, "Error", Some("Send write file error"))),
            4 => Some(json!({"error": 3, "message": "No task in DB", "agent": 4})),
            5 => Some(task(
                5,
                "Task cancelled since the manager was restarted",
                None,
            )),
            _ => None,
        });
        answer(items.collect())
    });
    let run = ask(&manager, &["result", "1-6"]).ended(1);
    assert_eq!(
        run.row("001")[..6],
        ["001", "-", "101", "node01", "upgrade", "Updated"]
    );
    assert_eq!(
        run.row("003")[5..10],
        ["Error", "Send", "write", "file", "error"]
    );
    assert_eq!(
        run.row("004")[5..],
        ["-", "code", "3:", "No", "task", "in", "DB", "-", "-"]
    );
    assert_eq!(run.row("005")[5], "Cancelled");
    assert!(
        run.out
            .contains("the manager did not answer for this agent")
    );

    ask(&manager, &["result", "1-2"]).ended(0);
    for bad in ["3", "4", "5", "6"] {
        ask(&manager, &["result", bad]).ended(1);
    }
    let objects = ask(&manager, &["result", "1", "4", "--json"])
        .ended(1)
        .objects();
    assert_eq!(objects[0]["status"], "Updated");
    assert_eq!(objects[1]["error"], 3);
    assert_eq!(objects[1]["status"], Value::Null);
}

#[test]
fn agents_are_listed_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        let parameters = &request["parameters"];
        let after = parameters["after"].as_i64().unwrap_or(0);
        let limit = parameters["limit"].as_i64().unwrap();
        if parameters["version"] == "older" {
            return answer(vec![]);
        }
        answer(
            (after + 1..=2_500)
                .take(limit as usize)
                .map(|a| listed(a, "v4.7.0"))
                .collect(),
        )
    });
    let run = ask(&manager, &["agents"]).ended(0);
    assert_eq!(
        run.row("002"),
        [
            "002", "host2", "v4.7.0", "active", "ubuntu", "22.04", "x86_64", "default", "node01"
        ]
    );
    assert!(run.out.ends_with("\n2500 agents\n"));
    assert_eq!(
        manager.asked("agent_list").len(),
        4,
        "the last page is empty"
    );

    let objects = ask(&manager, &["agents", "--json"]).ended(0).objects();
    assert_eq!(objects.len(), 2_500);
    assert_eq!(objects[2_499]["agent"], 2_500);
    assert_eq!(objects[2_499]["version"], "Wazuh v4.7.0");
    let run = ask(&manager, &["agents", "--outdated"]).ended(0);
    assert_eq!(run.out, "All agents are updated.\n");
}

#[test]
fn a_manager_that_repeats_itself_does_not_keep_us() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| answer(vec![listed(1, "v4.7.0")]));
    let run = ask(&manager, &["agents"]).ended(1);
    assert!(run.err.contains("again"), "{}", run.err);
}

#[test]
fn names_cannot_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut pages = vec![
        vec![],
        vec![json!({"error": 0, "message": "Success", "agent": 1, "name": "a\u{1b}[2J\nb"})],
    ];
    let manager = Manager::start(&dir.path().join("s"), move |_| answer(pages.pop().unwrap()));
    let run = ask(&manager, &["agents"]).ended(0);
    assert_eq!(run.row("001")[1], "a?[2J?b");
}

fn enrolling(path: &Path) -> Manager {
    Manager::start(path, |request| {
        assert_eq!(request["command"], "agent_enroll");
        assert_eq!(request["origin"], json!({"module": "api"}));
        if request["parameters"]["name"] == "taken" {
            return refusal(5, "the name is taken");
        }
        answer(vec![json!({
            "error": 0, "message": "Success", "agent": 7, "name": request["parameters"]["name"],
            "key": "-----BEGIN PRIVATE KEY-----\nk\n", "certificate": "-----BEGIN CERTIFICATE-----\nc\n",
            "ca": "-----BEGIN CERTIFICATE-----\na\n", "address": "manager:1515",
        })])
    })
}

#[test]
fn enrolment_makes_a_home_that_only_its_owner_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let manager = enrolling(&dir.path().join("s"));
    let home = dir.path().join("agent \"one\"");
    let out = home.to_str().unwrap();
    let run = ask(&manager, &["agent", "enroll", "web", "--out", out]).ended(0);
    assert!(
        run.out.contains("agent 007 (web) is enrolled"),
        "{}",
        run.out
    );
    assert!(run.out.contains("wpk-agent --config"), "{}", run.out);

    let mode = |name: &str| home.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("etc/channel"), 0o700);
    assert_eq!(mode("etc/channel/agent.key"), 0o600);
    let read = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    assert!(read("etc/channel/agent.key").starts_with("-----BEGIN PRIVATE KEY"));
    assert!(read("etc/channel/agent.pem").ends_with("c\n"));
    assert!(read("etc/channel/ca.pem").ends_with("a\n"));
    let settings: toml::Table = read("etc/wpk-agent.toml").parse().unwrap();
    assert_eq!(settings["home"].as_str(), Some(".."), "it may be moved");
    let channel = settings["channel"].as_table().unwrap();
    assert_eq!(channel["address"].as_str(), Some("manager:1515"));
    for (key, file) in [
        ("ca", "ca.pem"),
        ("certificate", "agent.pem"),
        ("key", "agent.key"),
    ] {
        assert_eq!(
            channel[key].as_str(),
            Some(format!("etc/channel/{file}").as_str())
        );
    }
    assert!(!run.out.contains("PRIVATE"), "no secrets on the terminal");
}

#[test]
fn the_address_may_come_from_the_command_line_or_later() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        answer(vec![json!({
            "error": 0, "message": "Success", "agent": 7, "name": "web", "address": null,
            "key": "-----BEGIN PRIVATE KEY-----\n", "certificate": "-----BEGIN CERTIFICATE-----\n",
            "ca": "-----BEGIN CERTIFICATE-----\n",
        })])
    });
    let address = |name: &str, more: &[&str]| {
        let home = dir.path().join(name);
        let arguments = ["agent", "enroll", "web", "--out", home.to_str().unwrap()];
        let run = ask(&manager, &[&arguments[..], more].concat()).ended(0);
        let text = std::fs::read_to_string(home.join("etc/wpk-agent.toml")).unwrap();
        let settings: toml::Table = text.parse().unwrap();
        let address = settings["channel"]["address"].as_str().unwrap().to_owned();
        (address, run.err)
    };
    assert_eq!(
        address("a", &["--address", "other:1"]),
        ("other:1".to_owned(), String::new())
    );
    let (unknown, warning) = address("b", &[]);
    assert_eq!(unknown, "");
    assert!(warning.contains("write channel.address"), "{warning}");
}

#[test]
fn enrolment_replaces_nothing_and_asks_nothing_then() {
    let dir = tempfile::tempdir().unwrap();
    let manager = enrolling(&dir.path().join("s"));
    let home = dir.path().join("home");
    std::fs::create_dir_all(home.join("etc/channel")).unwrap();
    std::fs::write(home.join("etc/channel/agent.key"), "old").unwrap();
    let out = home.to_str().unwrap();
    let run = ask(&manager, &["agent", "enroll", "web", "--out", out]).ended(1);
    assert!(run.err.contains("agent.key exists already"), "{}", run.err);
    assert!(manager.asked("agent_enroll").is_empty());
    assert_eq!(
        std::fs::read(home.join("etc/channel/agent.key")).unwrap(),
        b"old"
    );
}

#[test]
fn refused_enrolment_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let manager = enrolling(&dir.path().join("s"));
    let out = dir.path().join("home");
    let arguments = ["agent", "enroll", "taken", "--out", out.to_str().unwrap()];
    let run = ask(&manager, &arguments).ended(1);
    assert!(run.err.contains("the name is taken"), "{}", run.err);
    assert!(!out.join("etc/channel/agent.key").exists());
    ask(&manager, &["agent", "enroll", "../evil"]).ended(2);
}

#[test]
fn an_answer_without_its_parts_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        answer(vec![
            json!({"error": 0, "message": "Success", "agent": 7, "key": "no pem"}),
        ])
    });
    let out = dir.path().join("home");
    let arguments = ["agent", "enroll", "web", "--out", out.to_str().unwrap()];
    let run = ask(&manager, &arguments).ended(1);
    assert!(run.err.contains("no PEM in `key`"), "{}", run.err);
}
