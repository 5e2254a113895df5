//! Agents that go away at every step, fail, come back, or speak out of turn.

use std::time::Duration;

use serde_json::json;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wait_until;
use wpk_testkit::wdb::agent_row;

use crate::{end_of, fleet};

/// Steps of a delivery, and what the task says where an agent goes away there.
const STEPS: [(&str, &str); 6] = [
    ("lock_restart", "Error: Send lock restart error"),
    ("open", "Error: Send open file error"),
    ("write", "Error: Send write file error"),
    ("close", "Error: Send close file error"),
    ("sha1", "Error: Send verify sha1 error"),
    ("upgrade", "Error: Upgrade procedure exited with error code"),
];

#[tokio::test]
async fn agents_that_go_away_at_each_step_fail_alone_and_are_upgraded_when_they_are_back() {
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"1s\"";
    let (manager, _repository, parameters) = fleet(settings, 13).await;
    // Agents 1 to 6 hang up at a step, 7 to 12 say nothing any more; 13 is healthy.
    let (mut rules, mut agent) = (String::new(), 0);
    for answer in ["@close", "@hang"] {
        for (step, _) in STEPS {
            agent += 1;
            // An agent is asked ten times to open; silence each time takes long.
            let answer = match (step, answer) {
                ("open", "@hang") => "err Cannot send request",
                _ => answer,
            };
            rules += &format!("{agent} {step} {answer}\n");
        }
    }
    manager.remoted.set_rules(&rules).unwrap();
    let agents: Vec<u32> = (1..=13).collect();
    let items = manager.upgrade(&agents, parameters.clone()).await;
    assert_eq!(items.len(), 13);
    assert_eq!(end_of(&manager, 13).await, "Updated");
    for agent in 1..=12 {
        let (step, expected) = STEPS[(agent as usize - 1) % STEPS.len()];
        if step == "upgrade" {
            // It may be running the installer: its word decides, not its silence.
            manager.wait_for_step(agent, step).await.unwrap();
            assert_eq!(manager.result(agent).await["status"], "Updating");
            manager
                .remoted
                .acknowledge(agent, 2, "Failed")
                .await
                .unwrap();
        }
        assert_eq!(end_of(&manager, agent).await, expected, "agent {agent}");
        let mut steps = manager.remoted.steps(agent);
        steps.retain(|step| step != "clear_upgrade_result");
        assert_eq!(
            steps.last().unwrap(),
            step,
            "agent {agent} heard nothing more"
        );
    }
    // While an agent is away, it is refused at once.
    manager
        .wdb
        .set_column(1, "connection_status", json!("disconnected"));
    let items = manager.upgrade(&[1], parameters.clone()).await;
    let refused = json!({"error": 8, "message": "Agent is not active", "agent": 1});
    assert_eq!(items, [refused]);
    // Now all are back.
    manager.remoted.set_rules("").unwrap();
    manager
        .wdb
        .set_column(1, "connection_status", json!("active"));
    let items = manager.upgrade(&agents, parameters).await;
    assert!(items.iter().all(|item| item["error"] == 0), "{items:?}");
    for agent in agents {
        assert_eq!(end_of(&manager, agent).await, "Updated", "agent {agent}");
    }
}

#[tokio::test]
async fn installers_that_fail_say_why_and_may_be_tried_again() {
    let (manager, _repository, parameters) = fleet("", 3).await;
    let rules = "1 upgrade @ack:2:Failed\n2 upgrade @ack:1:Failed\n";
    manager.remoted.set_rules(rules).unwrap();
    manager.upgrade(&[1, 2, 3], parameters.clone()).await;
    assert_eq!(
        end_of(&manager, 1).await,
        "Error: Upgrade procedure exited with error code"
    );
    assert_eq!(
        end_of(&manager, 2).await,
        "Error: Upgrade procedure exited with error code, missing dependency in agent"
    );
    assert_eq!(end_of(&manager, 3).await, "Updated");
    manager.remoted.set_rules("").unwrap();
    let items = manager.upgrade(&[1, 2], parameters).await;
    assert_eq!(
        (&items[0]["task_id"], &items[1]["task_id"]),
        (&json!(4), &json!(5))
    );
    for agent in [1, 2] {
        assert_eq!(end_of(&manager, agent).await, "Updated");
        let item = manager.result(agent).await;
        assert_eq!(item.get("error_msg"), None, "{item}");
    }
}

#[tokio::test]
async fn an_agent_that_is_being_upgraded_is_refused_and_force_does_not_help() {
    let (manager, _repository, mut parameters) = fleet("", 2).await;
    manager.remoted.set_rules("1 upgrade @noack\n").unwrap();
    manager.upgrade(&[1], parameters.clone()).await;
    manager.wait_for_step(1, "upgrade").await.unwrap();
    parameters["force_upgrade"] = json!(true);
    let refused = json!({"error": 10, "agent": 1,
        "message": "Upgrade procedure could not start. Agent already upgrading"});
    let items = manager.upgrade(&[1, 2], parameters.clone()).await;
    assert_eq!(items[0], refused);
    assert_eq!(items[1]["task_id"], 2);
    let file = manager.home.path("x.wpk");
    std::fs::write(&file, [1; 100]).unwrap();
    let items = manager
        .upgrade_custom(&[1], json!({"file_path": file}))
        .await;
    assert_eq!(items, [refused]);
    // Its word ends the task; then force repeats the same version.
    manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
    assert_eq!(end_of(&manager, 1).await, "Updated");
    manager.remoted.set_rules("").unwrap();
    manager.wdb.set_agent(agent_row(1, "Wazuh v4.14.8"));
    let mut unforced = parameters.clone();
    unforced["force_upgrade"] = json!(false);
    let items = manager.upgrade(&[1], unforced).await;
    assert_eq!(items[0]["error"], 12);
    let items = manager.upgrade(&[1], parameters).await;
    assert_eq!(items[0]["task_id"], 3);
    assert_eq!(end_of(&manager, 1).await, "Updated");
}

/// The agent's word may overtake the answer to the command that led to it.
#[tokio::test]
async fn a_word_that_comes_before_the_answer_counts() {
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"1s\"";
    let (mut manager, _repository, parameters) = fleet(settings, 2).await;
    manager
        .remoted
        .set_rules("1 upgrade @hang\n2 upgrade @hang\n")
        .unwrap();
    manager.upgrade(&[1, 2], parameters).await;
    for (agent, error, status) in [(1, 0, "Done"), (2, 2, "Failed")] {
        manager.wait_for_step(agent, "upgrade").await.unwrap();
        manager
            .remoted
            .acknowledge(agent, error, status)
            .await
            .unwrap();
    }
    let failed = "Error: Upgrade procedure exited with error code";
    assert_eq!(end_of(&manager, 1).await, "Updated");
    assert_eq!(end_of(&manager, 2).await, failed);
    // The answer never comes; that is noticed and changes nothing.
    let given_up = manager.daemon().unwrap().wait_for_line(
        "the agent did not say whether it runs the installer",
        PATIENCE,
    );
    assert!(given_up.await.is_some());
    assert_eq!(end_of(&manager, 1).await, "Updated");
    assert_eq!(end_of(&manager, 2).await, failed);
}

/// Words that are repeated, come twice in one message, or come from agents that
/// have no task or are not even known: all are told to stop, none does harm.
#[tokio::test]
async fn words_out_of_turn_are_told_to_stop_and_change_nothing() {
    let (manager, _repository, parameters) = fleet("", 2).await;
    manager
        .remoted
        .set_ack_interval(Some(Duration::from_millis(20)));
    manager.upgrade(&[1], parameters.clone()).await;
    assert_eq!(end_of(&manager, 1).await, "Updated");
    // It repeats itself until it hears that it may stop, and is silent then.
    manager
        .wait_for_step(1, "clear_upgrade_result")
        .await
        .expect("told to stop");
    let before = manager.result(1).await;
    for (agent, error, status) in [
        (1, 2, "Failed"),
        (2, 0, "Done"),
        (77, 1, "Failed"),
        (0, 0, "Done"),
    ] {
        let cleared = || {
            let steps = manager.remoted.steps(agent);
            steps
                .iter()
                .filter(|step| *step == "clear_upgrade_result")
                .count()
        };
        let already = cleared();
        manager
            .remoted
            .acknowledge(agent, error, status)
            .await
            .unwrap();
        wait_until(PATIENCE, async || (cleared() > already).then_some(()))
            .await
            .unwrap_or_else(|| panic!("agent {agent} was not told to stop"));
    }
    assert_eq!(manager.result(1).await, before);
    let twice = json!({"command": "upgrade_update_status", "parameters":
        {"agents": [2, 2], "error": 0, "message": "Upgrade was successful", "status": "Done"}});
    let answer = manager.ask(twice.to_string()).await.unwrap();
    let no_task = json!({"error": 3, "message": "No task in DB", "agent": 2});
    assert_eq!(answer["data"], json!([no_task, no_task]));
    // A word before any task does not end the task that comes later.
    manager.remoted.set_rules("2 upgrade @noack\n").unwrap();
    manager.upgrade(&[2], parameters).await;
    manager.wait_for_step(2, "upgrade").await.unwrap();
    assert_eq!(manager.result(2).await["status"], "Updating");
}

/// An agent that does not answer when it is told to stop takes one place and not
/// one for each of its words; nobody waits for it, and it is told again later.
#[tokio::test]
async fn an_agent_that_cannot_be_told_to_stop_holds_nobody_up() {
    let settings = "[transport]\ntype = \"remoted\"\ntimeout = \"2s\"";
    let (mut manager, _repository, parameters) = fleet(settings, 2).await;
    manager
        .remoted
        .set_rules("1 clear_upgrade_result @hang\n")
        .unwrap();
    let words = async || {
        for _ in 0..10 {
            manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
        }
    };
    words().await;
    manager
        .wait_for_step(1, "clear_upgrade_result")
        .await
        .expect("told to stop");
    words().await;
    manager.upgrade(&[2], parameters).await;
    assert_eq!(end_of(&manager, 2).await, "Updated");
    assert!(manager.remoted.most_in_flight() <= 3);
    // That attempt is given up, and the next word leads to another.
    let daemon = manager.daemon().unwrap();
    let given_up = daemon.wait_for_line("could not be told to stop", PATIENCE);
    assert!(given_up.await.is_some());
    manager.remoted.set_rules("").unwrap();
    let again = wait_until(PATIENCE, async || {
        manager.remoted.acknowledge(1, 0, "Done").await.unwrap();
        let steps = manager.remoted.steps(1);
        let told = steps.iter().filter(|step| *step == "clear_upgrade_result");
        (told.count() > 1).then_some(())
    });
    again.await.expect("told once more");
}
