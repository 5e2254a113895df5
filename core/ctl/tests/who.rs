//! Agents as command lines name them, against a manager on a real socket: ids, names,
//! patterns and selectors, and what is said where they mean nobody or too many.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::*;
use serde_json::{Value, json};

fn ask(manager: &Manager, more: &[&str]) -> Run {
    let socket = manager.socket.to_str().unwrap();
    run(&[&["--socket", socket][..], more].concat())
}

fn agent(id: i64, name: &str, version: &str, group: &str) -> Value {
    let mut agent = listed(id, version);
    agent["name"] = name.into();
    agent["group"] = group.into();
    agent
}

/// `twin` is the name of two; 000 is the manager itself.
fn fleet() -> Vec<Value> {
    vec![
        agent(0, "db-manager", "v4.14.0", "default"),
        agent(1, "web01", "v4.10.0", "prod,web"),
        agent(2, "db-1", "v4.13.9", "prod"),
        agent(3, "db-2", "v4.14.0", "prod"),
        agent(4, "twin", "v4.9.0", "test"),
        agent(5, "twin", "v4.9.0", "test"),
        agent(6, "42", "v4.9.0", "test"),
    ]
}

/// A manager that lists them, with labels where `labels` says so.
fn manager(dir: &tempfile::TempDir, labels: bool) -> Manager {
    placing(dir, labels, false)
}

/// The same, with sites where `sites` says so.
fn placing(dir: &tempfile::TempDir, labels: bool, sites: bool) -> Manager {
    Manager::start(&dir.path().join("s"), move |request| {
        let parameters = &request["parameters"];
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = parameters["after"].as_i64().unwrap_or(-1);
                let details = parameters["details"] == true && labels;
                let agents = fleet().into_iter().map(|mut agent| {
                    if details {
                        agent["labels"] = match agent["agent"].as_i64() {
                            Some(2) => json!({"site": "lyon"}),
                            _ => json!({}),
                        };
                    }
                    if parameters["details"] == true && sites && agent["agent"] != 0 {
                        let lyon = ["db-1", "web01"].map(|name| agent["name"] == name);
                        agent["site"] = ["default", "lyon"][usize::from(lyon != [false; 2])].into();
                    }
                    agent
                });
                answer(
                    agents
                        .filter(|one| one["agent"].as_i64() > Some(after))
                        .collect(),
                )
            }
            "upgrade" => answer(agents(request).into_iter().map(created).collect()),
            "upgrade_result" => {
                let tasks = agents(request).into_iter();
                answer(tasks.map(|agent| task(agent, "Updated", None)).collect())
            }
            "agent_hold" => answer(vec![json!({
                "error": 0, "message": "Success", "changed": 2, "not_known": [],
            })]),
            "upgrade_timeline" => refusal(3, "JSON parameter not recognized"),
            _ => answer(vec![fleet().remove(2)]),
        }
    })
}

/// Who is asked to be upgraded by these arguments.
fn upgraded(arguments: &[&str]) -> Vec<i64> {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, true);
    ask(&manager, &[&["upgrade"], arguments].concat()).ended(0);
    agents(&manager.asked("upgrade")[0])
}

/// What is said of arguments by which nobody is upgraded.
fn refused(arguments: &[&str], labels: bool, status: i32) -> String {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, labels);
    let run = ask(&manager, &[&["upgrade"], arguments].concat()).ended(status);
    assert_eq!(manager.asked("upgrade"), Vec::<Value>::new());
    run.err
}

#[test]
fn agents_are_named_by_ids_names_patterns_and_selectors() {
    assert_eq!(upgraded(&["web01"]), [1]);
    assert_eq!(upgraded(&["3", "web01,1-2"]), [3, 1, 2]);
    assert_eq!(upgraded(&["db-*", "web*"]), [2, 3, 1]);
    // The manager itself is meant by no pattern and no selector.
    assert_eq!(upgraded(&["*"]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        upgraded(&["--select", "version != v4.0.0"]),
        [1, 2, 3, 4, 5, 6]
    );
    let select = "group = prod and version < v4.14.0";
    assert_eq!(upgraded(&["--select", select]), [1, 2]);
    assert_eq!(
        upgraded(&["--select", "label.site = lyon or name = web01"]),
        [1, 2]
    );
    assert_eq!(
        upgraded(&["--select", "group = prod and not label.site = lyon"]),
        [1, 3]
    );
    // A number is an id, also where an agent is named so.
    assert_eq!(upgraded(&["42"]), [42]);
}

#[test]
fn for_ids_alone_nobody_is_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, true);
    ask(&manager, &["upgrade", "1-2"]).ended(0);
    assert_eq!(manager.asked("agent_list"), Vec::<Value>::new());
    // A table has names beside the ids: those are asked for, once.
    let run = ask(&manager, &["result", "1-2"]).ended(0);
    assert_eq!(run.row("001")[1], "web01");
    assert_eq!(manager.asked("agent_list").len(), 1);
    let one = &ask(&manager, &["result", "1", "--json"]).ended(0).objects()[0];
    assert_eq!(one["name"], "web01");
}

#[test]
fn names_that_mean_nobody_or_two_are_told() {
    let unknown = refused(&["web1", "1", "db-9,nobody"], true, 1);
    for line in [
        "no agent is named \"db-9\"\n",
        "no agent is named \"nobody\"\n",
        "nothing was done",
    ] {
        assert!(unknown.contains(line), "{unknown}");
    }
    let close = refused(&["WEB01"], true, 1);
    assert!(close.contains("is web01 (001) meant?"), "{close}");
    let pattern = refused(&["x-*"], true, 1);
    assert!(
        pattern.contains("no agent has a name like \"x-*\""),
        "{pattern}"
    );
    let twice = refused(&["twin", "nobody"], true, 2);
    assert!(
        twice.contains("2 agents are named \"twin\": 004, 005; write the id"),
        "{twice}"
    );
    assert!(twice.contains("no agent is named \"nobody\""), "{twice}");
    let none = refused(&["--select", "group = dev"], true, 1);
    assert!(
        none.contains(
            "none of the 7 agents that the manager lists is meant by --select 'group = dev'"
        ),
        "{none}"
    );
}

#[test]
fn a_selector_asks_for_the_sites_of_rollouts() {
    let dir = tempfile::tempdir().unwrap();
    let manager = placing(&dir, false, true);
    for (select, ids) in [
        ("site = lyon", &[1, 2][..]),
        ("site != lyon and group = prod", &[3]),
        ("site in (default, lyon) and name = web01", &[1]),
    ] {
        let before = manager.asked("upgrade").len();
        ask(&manager, &["upgrade", "--select", select]).ended(0);
        assert_eq!(agents(&manager.asked("upgrade")[before]), ids, "{select}");
        let list = ask(&manager, &["agents", "--json", "--select", select]).ended(0);
        let objects = list.objects().into_iter();
        let listed: Vec<i64> = objects.map(|one| one["agent"].as_i64().unwrap()).collect();
        assert_eq!(listed, ids, "{select}");
    }
    let nobody = ask(&manager, &["upgrade", "--select", "site = riga"]).ended(1);
    assert!(
        nobody.err.contains("none of the 7 agents"),
        "{}",
        nobody.err
    );
}

#[test]
fn a_selector_asks_only_what_the_manager_tells() {
    for select in ["label.site = lyon", "not label.frozen = yes"] {
        let error = refused(&["--select", select], false, 2);
        assert!(error.contains("tells no labels of its agents"), "{error}");
    }
    let error = refused(&["--select", "site = riga"], true, 2);
    assert!(error.contains("does not tell in which site all"), "{error}");
    let error = refused(&["--select", "group ~ prod"], true, 2);
    assert!(error.contains("column 7"), "{error}");
    for both in [
        &["1", "--select", "id = 1"][..],
        &["1", "--all"],
        &["--all", "--select", "id = 1"],
        &[],
    ] {
        refused(both, true, 2);
    }
}

/// Its store failed in the middle of the list.
#[test]
fn a_selector_does_not_ask_what_is_told_of_some_agents_only() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = request["parameters"]["after"].as_i64().unwrap_or(-1);
                let agents = fleet().into_iter().map(|mut agent| {
                    if agent["agent"].as_i64() < Some(4) {
                        agent["labels"] = json!({});
                        agent["site"] = "lyon".into();
                    }
                    agent
                });
                let rest = agents.filter(|one| one["agent"].as_i64() > Some(after));
                answer(rest.collect())
            }
            _ => answer(agents(request).into_iter().map(created).collect()),
        }
    });
    for select in ["site != lyon", "not label.frozen = yes"] {
        ask(&manager, &["upgrade", "--select", select]).ended(2);
    }
    assert!(manager.asked("upgrade").is_empty());
}

#[test]
fn a_manager_without_a_list_is_asked_by_ids() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::start(&dir.path().join("s"), |request| {
        match request["command"].as_str().unwrap() {
            "upgrade" => answer(agents(request).into_iter().map(created).collect()),
            _ => refusal(3, "JSON parameter not recognized"),
        }
    });
    let run = ask(&manager, &["upgrade", "web01"]).ended(1);
    assert!(run.err.contains("write the ids"), "{}", run.err);
    assert_eq!(manager.asked("upgrade"), Vec::<Value>::new());
    ask(&manager, &["upgrade", "1"]).ended(0);
}

#[test]
fn every_command_that_names_agents_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, true);
    let run = ask(&manager, &["result", "db-*"]).ended(0);
    assert_eq!(run.row("003")[0], "003");
    ask(&manager, &["agent", "show", "db-1"]).ended(0);
    assert_eq!(
        manager.asked("agent_show")[0]["parameters"],
        json!({"agent": 2})
    );
    ask(&manager, &["agent", "show", "db-*"]).ended(2);
    ask(&manager, &["agent", "show", "twin"]).ended(2);
    ask(&manager, &["agent", "rename", "db-1", "db-9"]).ended(0);
    assert_eq!(
        manager.asked("agent_rename")[0]["parameters"],
        json!({"agent": 2, "name": "db-9"})
    );
    ask(&manager, &["agent", "hold", "db-*"]).ended(0);
    assert_eq!(agents(&manager.asked("agent_hold")[0]), [2, 3]);
    ask(&manager, &["agent", "revoke", "--select", "name = db-1"]).ended(0);
    assert_eq!(
        manager.asked("agent_revoke")[0]["parameters"],
        json!({"agent": 2})
    );
    ask(&manager, &["agent", "label", "web01", "db-1", "a=1-5"]).ended(0);
    let asked = manager.asked("agent_label");
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0]["parameters"],
        json!({"agent": 1, "set": {"a": "1-5"}, "unset": []})
    );
    ask(&manager, &["agent", "label", "--select", "id = 2", "a=b"]).ended(0);
    ask(
        &manager,
        &["agent", "label", "1", "--select", "id = 2", "a=b"],
    )
    .ended(2);
    ask(&manager, &["agent", "label", "a=b"]).ended(2);
}

#[test]
fn the_list_is_chosen_by_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir, true);
    let ids = |arguments: &[&str]| -> Vec<i64> {
        let run = ask(&manager, &[&["agents", "--json"], arguments].concat()).ended(0);
        let objects = run.objects().into_iter();
        objects.map(|one| one["agent"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(&["db-*", "1"]), [1, 2, 3]);
    assert_eq!(ids(&["--select", "label.site = lyon"]), [2]);
    // Nobody is an answer of a list, a name that nobody has is a mistake.
    assert_eq!(ids(&["--select", "group = dev"]), [0_i64; 0]);
    ask(&manager, &["agents", "nobody"]).ended(1);
}
