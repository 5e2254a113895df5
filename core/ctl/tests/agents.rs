//! `wpkctl agents` with its choices, and `wpkctl agent revoke | remove | rename | label |
//! show`, against a manager on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::*;
use serde_json::{Value, json};

fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

/// Three agents with all that a manager may know of them.
fn fleet() -> Vec<Value> {
    let agent = |id: i64, name: &str, version: &str, status: &str, seen: i64, labels: Value| {
        json!({
            "error": 0, "message": "Success", "agent": id, "name": name, "version": version,
            "connection_status": status, "last_seen": seen, "labels": labels,
            "address": "192.0.2.7", "certificate_end": 1_900_000_000,
            "last_result": "Updated", "site": labels["site"],
        })
    };
    vec![
        agent(
            1,
            "web",
            "v4.10.0",
            "active",
            1_700_000_003,
            json!({"site": "lyon"}),
        ),
        agent(
            2,
            "db,1",
            "v4.9.0",
            "disconnected",
            1_700_000_002,
            json!({"site": "riga"}),
        ),
        agent(
            3,
            "app",
            "v4.11.0",
            "disconnected",
            1_700_000_001,
            json!({"site": "lyon", "rack": "7"}),
        ),
    ]
}

fn with_fleet(dir: &tempfile::TempDir) -> Manager {
    Manager::start(&dir.path().join("s"), |request| {
        let after = request["parameters"]["after"].as_i64();
        answer(if after.is_some() { vec![] } else { fleet() })
    })
}

#[test]
fn agents_are_chosen_and_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let manager = with_fleet(&dir);
    let ids = |arguments: &[&str]| -> Vec<i64> {
        let run = ask(&manager, &[&["agents", "--json"], arguments].concat()).ended(0);
        let objects = run.objects().into_iter();
        objects.map(|one| one["agent"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&[]), [1, 2, 3]);
    assert_eq!(ids(&["--label", "site=lyon"]), [1, 3]);
    assert_eq!(ids(&["--label", "site=lyon", "--label", "rack"]), [3]);
    assert_eq!(ids(&["--label", "site"]), [1, 2, 3]);
    assert_eq!(ids(&["--offline"]), [2, 3]);
    assert_eq!(ids(&["--offline", "--label", "site=riga"]), [2]);
    assert_eq!(ids(&["--sort", "name"]), [3, 2, 1]);
    assert_eq!(ids(&["--sort", "version"]), [2, 1, 3]);
    assert_eq!(ids(&["--sort", "seen"]), [3, 2, 1]);
    let none = ask(&manager, &["agents", "--label", "site=oslo"]).ended(0);
    assert_eq!(none.out, "There are no such agents.\n");
    // Who is named is expected to be there.
    let none = ask(&manager, &["agents", "500"]).ended(1);
    assert_eq!(none.out, "There are no such agents.\n");
    ask(&manager, &["agents", "--json", "500"]).ended(1);
    ask(&manager, &["agents", "--select", "name = oslo"]).ended(0);
}

#[test]
fn the_table_stays_and_more_is_shown_where_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let manager = with_fleet(&dir);
    let short = ask(&manager, &["agents"]).ended(0);
    assert_eq!(short.row("001").len(), 8);
    let asked = manager.asked("agent_list");
    assert_eq!(asked[0]["parameters"].get("details"), None);
    let wide = ask(&manager, &["agents", "--wide"]).ended(0);
    assert_eq!(
        wide.row("003")[8..],
        [
            "rack=7,site=lyon",
            "192.0.2.7",
            "2023/11/14",
            "22:13:21",
            "UTC",
            "Updated",
            "2030/03/17",
            "17:46:40",
            "UTC",
            "lyon"
        ]
    );
    let csv = ask(&manager, &["agents", "--csv"]).ended(0);
    let lines: Vec<&str> = csv.out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with("agent,name,version,status,"),
        "{}",
        lines[0]
    );
    assert!(lines[2].starts_with("002,\"db,1\",v4.9.0,"), "{}", lines[2]);
    assert!(lines[3].contains(",\"rack=7,site=lyon\","), "{}", lines[3]);
    assert!(lines[0].ends_with(",site"), "{}", lines[0]);
    assert!(lines[3].ends_with(",lyon"), "{}", lines[3]);
    ask(&manager, &["agents", "--csv", "--json"]).ended(2);
}

#[test]
fn a_change_is_one_command_and_says_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        let agent = request["parameters"]["agent"].as_i64().unwrap();
        if agent == 9 {
            return refusal(3, "there is no agent 009");
        }
        let mut item = fleet().remove(0);
        item["agent"] = agent.into();
        answer(vec![item])
    });
    let run = ask(&manager, &["agent", "revoke", "1-2"]).ended(0);
    assert_eq!(
        run.out,
        "agent 001 (web): revoked\nagent 002 (web): revoked\n"
    );
    assert_eq!(manager.asked("agent_revoke").len(), 2);
    ask(&manager, &["agent", "remove", "3"]).ended(0);
    assert_eq!(
        manager.asked("agent_remove")[0]["parameters"],
        json!({"agent": 3})
    );
    ask(&manager, &["agent", "rename", "003", "new"]).ended(0);
    assert_eq!(
        manager.asked("agent_rename")[0]["parameters"],
        json!({"agent": 3, "name": "new"})
    );
    let arguments = ["agent", "label", "3", "site=lyon", "--remove", "rack"];
    ask(&manager, &arguments).ended(0);
    assert_eq!(
        manager.asked("agent_label")[0]["parameters"],
        json!({"agent": 3, "set": {"site": "lyon"}, "unset": ["rack"]})
    );
    // One that is refused keeps nobody.
    let run = ask(&manager, &["agent", "revoke", "9", "4"]).ended(1);
    assert!(run.out.contains("agent 004"), "{}", run.out);
    assert!(run.err.contains("there is no agent 009"), "{}", run.err);
    let run = ask(&manager, &["agent", "rename", "9", "x"]).ended(1);
    assert!(run.err.contains("there is no agent 009"), "{}", run.err);
    for bad in [
        &["agent", "label", "3"][..],
        &["agent", "label", "3", "site"],
        &["agent", "label", "3", "a b=c"],
        &["agent", "revoke"],
        &["agent", "rename", "1-2", "y"],
    ] {
        ask(&manager, bad).ended(2);
    }
}

#[test]
fn an_agent_is_shown_as_lines_and_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |_| {
        let mut item = fleet().remove(2);
        item["revoked"] = 1_700_000_009.into();
        item["name"] = "a\u{1b}[2J".into();
        answer(vec![item])
    });
    let run = ask(&manager, &["agent", "show", "3"]).ended(0);
    assert!(run.out.contains("rack=7,site=lyon"), "{}", run.out);
    assert!(run.out.contains("revoked on 2023/11/14"), "{}", run.out);
    assert!(run.out.contains("a?[2J"), "{}", run.out);
    let shown = ask(&manager, &["agent", "show", "3", "--json"]).ended(0);
    assert_eq!(shown.objects()[0]["labels"]["rack"], "7");
}

#[test]
fn a_token_is_one_line_and_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_token" => answer(vec![json!({
                "error": 0, "message": "Success", "token": "a7", "text": "wpk1.secret",
                "expires": 1_900_000_000, "address": "manager:1517",
            })]),
            "agent_token_list" => answer(vec![json!({
                "error": 0, "message": "Success", "token": "a7", "created": 1, "uses": 5,
                "left": 4, "expires": 4_000_000_000_i64, "labels": {"site": "lyon"},
            })]),
            _ if request["parameters"]["token"] == "a7" => answer(vec![]),
            _ => refusal(3, "there is no such token"),
        }
    });
    let run = ask(&manager, &["agent", "token"]).ended(0);
    assert_eq!(run.out, "wpk1.secret\n");
    assert!(
        run.err.contains("one agent enroll until 2030/03/17"),
        "{}",
        run.err
    );
    let line = "\n  wpk-agent enroll --manager manager:1517 --token-file -\n";
    assert!(run.err.contains(line), "{}", run.err);
    // It is told this once, so a quiet tool tells it too, and nothing else.
    let run = ask(&manager, &["agent", "token", "-q"]).ended(0);
    assert_eq!((&*run.out, &*run.err), ("wpk1.secret\n", ""));
    let arguments = [
        "--uses",
        "5",
        "--expires",
        "2h",
        "--label",
        "site=lyon",
        "--json",
    ];
    let run = ask(&manager, &[&["agent", "token"][..], &arguments].concat()).ended(0);
    assert_eq!(run.objects()[0]["text"], "wpk1.secret");
    let asked = manager.asked("agent_token");
    assert_eq!(
        asked[0]["parameters"],
        json!({"uses": 1, "expires_in": 86_400})
    );
    assert_eq!(
        asked[2]["parameters"],
        json!({"uses": 5, "expires_in": 7_200, "labels": {"site": "lyon"}})
    );
    let run = ask(&manager, &["agent", "token", "list"]).ended(0);
    assert_eq!(run.row("a7")[1..3], ["4", "5"]);
    assert!(
        run.out.contains("site=lyon") && run.out.contains("good"),
        "{}",
        run.out
    );
    ask(&manager, &["agent", "token", "revoke", "a7"]).ended(0);
    let run = ask(&manager, &["agent", "token", "revoke", "zz"]).ended(1);
    assert!(run.err.contains("no such token"), "{}", run.err);
    ask(&manager, &["agent", "token", "--uses", "0"]).ended(2);
    ask(&manager, &["agent", "token", "--uses", "2", "list"]).ended(2);
}
