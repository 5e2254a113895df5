//! `wpkctl watch` with a name: agents', a rollout's, or both.

use wpk_wire::own::rollout::*;

use crate::common::*;
use crate::stage::*;

/// A manager with the rollouts `prod` and `web01`, and the agents 1 to 3 in `group`s: web01,
/// web02 and db-1, of which the last has no task.
fn manager(dir: &tempfile::TempDir) -> Manager {
    let names = [(1, "web01"), (2, "web02"), (3, "db-1")];
    Manager::start(&dir.path().join("s"), move |request| {
        let parameters = &request["parameters"];
        match request["command"].as_str().unwrap() {
            "agent_list" => {
                let after = parameters["after"].as_i64().unwrap_or(-1);
                let agents = names.into_iter().filter(|(id, _)| *id > after);
                let agents = agents.map(|(id, name)| {
                    let mut agent = listed(id, "v4.14.0");
                    agent["name"] = name.into();
                    agent["group"] = name[..2].into();
                    agent
                });
                answer(agents.collect())
            }
            "upgrade_result" => {
                let tasks = agents(request).into_iter().map(|agent| match agent {
                    3 => no_task(3),
                    agent => task(agent, "Updated", None),
                });
                answer(tasks.collect())
            }
            "rollout_status" => {
                let name = parameters["name"].as_str().unwrap();
                if !["prod", "web01"].contains(&name) {
                    return refusal(3, &format!("there is no rollout {name:?}"));
                }
                let mut told = status(RolloutState::Converged);
                told.name = name.into();
                told.counts.running = 0;
                let bytes = wpk_wire::Response::success(vec![told.to_item()]).to_bytes();
                Reply::Answer(serde_json::from_slice(&bytes).unwrap())
            }
            _ => refusal(2, "Required parameters in json message where not found"),
        }
    })
}

fn no_task(agent: i64) -> serde_json::Value {
    serde_json::json!({"error": 6, "message": "Task not found", "agent": agent})
}

fn watch(manager: &Manager, more: &[&str]) -> Run {
    ask(manager, &[&["watch"], more].concat())
}

#[test]
fn a_name_that_no_agent_has_is_a_rollouts() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    for arguments in [&["prod"][..], &["--rollout", "prod"]] {
        let run = watch(&manager, arguments).ended(0);
        run.begins("rollout prod to v4.14.7: converged\n");
    }
    // Where neither is of that name both are told of.
    let nobody = watch(&manager, &["nobody"]).ended(1);
    assert!(
        nobody.err.contains("no rollout \"nobody\""),
        "{}",
        nobody.err
    );
    assert!(nobody.err.contains("no agent is named"), "{}", nobody.err);
}

#[test]
fn a_rollout_is_watched_for_as_long_as_was_wished() {
    let dir = tempfile::tempdir().unwrap();
    // It never ends.
    let manager = answering(&dir, |command, _| {
        (command == "rollout_status").then(|| vec![status(RolloutState::Running).to_item()])
    });
    let limit = ["--timeout", "1s", "--interval", "200ms"];
    for arguments in [
        &["watch", "--rollout", "prod"][..],
        &["rollout", "status", "prod", "--watch"],
    ] {
        let before = manager.asked("rollout_status").len();
        let run = ask(&manager, &[arguments, &limit].concat()).ended(3);
        let end = "No longer watched after 1s; the rollout goes on: prod\n";
        assert!(run.out.ends_with(end), "{}", run.out);
        // Once a second would be twice at most.
        let asked = manager.asked("rollout_status").len() - before;
        assert!(asked > 2, "{asked}");
    }
}

#[test]
fn a_word_that_means_neither_is_told_as_that() {
    let long = "x".repeat(300);
    let run = run(&["watch", &long]).ended(2);
    for words in ["is no agent: write an id", "is no rollout's name"] {
        assert!(run.err.contains(words), "{}", run.err);
    }
    assert!(run.err.len() < 600, "{}", run.err);
}

#[test]
fn who_has_no_task_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let run = watch(&manager, &["3"]).ended(1);
    assert_eq!(run.err, "wpkctl: no upgrade task: 003\n");
    assert_eq!(run.out, "");
}

#[test]
fn agents_are_watched_by_names_and_selectors() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    for (arguments, ids) in [
        (&["web02"][..], &[2][..]),
        (&["web*"], &[1, 2]),
        (&["2", "web01"], &[2, 1]),
        (&["--select", "group = we and name != web01"], &[2]),
    ] {
        let before = manager.asked("upgrade_result").len();
        let run = watch(&manager, arguments).ended(0);
        let end = format!("{0} agents: {0} updated\n", ids.len());
        assert!(run.out.ends_with(&end), "{arguments:?}: {}", run.out);
        let asked = &manager.asked("upgrade_result")[before];
        assert_eq!(agents(asked), ids, "{arguments:?}");
    }
    let none = watch(&manager, &["--select", "group = db"]).ended(1);
    assert!(none.err.contains("no upgrade task: 003"), "{}", none.err);
    let nobody = watch(&manager, &["--select", "group = prod"]).ended(1);
    assert!(
        nobody.err.contains("none of the 3 agents"),
        "{}",
        nobody.err
    );
}

#[test]
fn a_name_that_an_agent_and_a_rollout_have_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let manager = manager(&dir);
    let both = watch(&manager, &["web01"]).ended(2);
    let words = "\"web01\" is the name of agent 001 and of a rollout; write the agent's id, or \
                 --rollout web01";
    assert!(both.err.contains(words), "{}", both.err);
    assert!(manager.asked("upgrade_result").is_empty());
    // Each can be said.
    watch(&manager, &["1"]).ended(0);
    let rollout = watch(&manager, &["--rollout", "web01"]).ended(0);
    rollout.begins("rollout web01 to v4.14.7: converged\n");
    // Beside another word it is an agent: one rollout is watched at a time.
    watch(&manager, &["web01", "web02"]).ended(0);
}
