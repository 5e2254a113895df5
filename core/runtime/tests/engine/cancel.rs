//! `upgrade_cancel`: a task is taken back before its installer is begun, and never after.

use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{Endpoint, Peer, Status, StoreError, TimelineStep};
use wpk_testkit::memory::{Lost, MemoryTransport, Say, agent};

use crate::nodes::{shared, two};
use crate::rollouts::fleet::{ALL, Fleet, apply, definition};
use crate::stand::{Stand, id};

const COMMAND: &str = "upgrade_cancel";

/// What became of each agent's task.
async fn cancel(stand: &Stand, agents: &[u32]) -> Vec<String> {
    let items = stand.items(COMMAND, json!({"agents": agents})).await;
    let outcome = |item: &Value| item["outcome"].as_str().unwrap_or("refused").to_owned();
    items.iter().map(outcome).collect()
}

/// One agent is written to at a time.
async fn narrow() -> Stand {
    Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_sent_is_taken_back_and_makes_room() {
    let stand = narrow().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1, 2, 3]).await;
    stand.came(1, "write", 1).await;
    let items = stand.items(COMMAND, json!({"agents": [2, 1, 2]})).await;
    assert_eq!(items.len(), 2, "each agent once: {items:?}");
    let (waited, sent) = (&items[0], &items[1]);
    assert_eq!((&waited["agent"], &sent["agent"]), (&json!(2), &json!(1)));
    for item in &items {
        assert_eq!(item["outcome"], "taken_back", "{item}");
        assert_eq!(item["status"], "Cancelled", "{item}");
        assert_eq!(item["error_msg"], "Cancelled by the user with id 0");
        assert_eq!(item["error"], 0);
    }
    // The one behind has the slot at once, although agent 1 never answers.
    stand.delivered(3).await;
    assert_eq!(stand.steps(2), [""; 0]);
    assert!(!stand.steps(1).contains(&"upgrade".to_owned()));
    let told = stand.timeline(1);
    let told = told
        .iter()
        .find(|entry| entry.step == TimelineStep::Cancelled)
        .unwrap();
    assert_eq!(told.asked.as_deref(), Some("the user with id 0"));
    assert!(
        told.detail.as_deref().unwrap().contains("by the operator"),
        "{told:?}"
    );
    // Both may be asked for again.
    stand.word(3, 0, "Done").await;
    stand.transport.release();
    assert_eq!(stand.upgrade(&[1, 2]).await, [0, 0]);
    stand.delivered(1).await;
    stand.delivered(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_begun_installer_is_never_taken_back() {
    let stand = Stand::installing().await;
    let item = stand.items(COMMAND, json!({"agents": [1]})).await.remove(0);
    assert_eq!(item["outcome"], "begun", "{item}");
    assert_eq!(item["status"], "Updating", "{item}");
    assert_eq!(stand.task(1).status, Status::InProgress);
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.task(1).status, Status::Done);
    assert_eq!(cancel(&stand, &[1, 2]).await, ["ended", "no_task"]);
}

/// Wherever the delivery is: before the installer it is left, and the installer not begun.
#[tokio::test(start_paused = true)]
async fn at_every_step_it_is_taken_back_or_begun() {
    for (step, outcome) in [
        ("lock_restart", "taken_back"),
        ("open", "taken_back"),
        ("write", "taken_back"),
        ("close", "taken_back"),
        ("sha1", "taken_back"),
        ("upgrade", "begun"),
    ] {
        let stand = Stand::new().await;
        stand.rule(1, step, Say::Hang);
        stand.upgrade(&[1]).await;
        stand.came(1, step, 1).await;
        assert_eq!(cancel(&stand, &[1]).await, [outcome], "{step}");
        stand.transport.release();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let (begun, status) = match outcome {
            "begun" => (1, Status::InProgress),
            _ => (0, Status::Cancelled),
        };
        assert_eq!(stand.transport.begun(id(1)), begun, "{step}");
        assert_eq!(stand.task(1).status, status, "{step}");
    }
}

/// The store is asked for both at the same moment, and decides.
#[tokio::test(start_paused = true)]
async fn a_cancellation_beside_the_beginning_has_one_outcome() {
    let (mut taken_back, mut begun) = (0, 0);
    for moment in 0..40 {
        let transport = MemoryTransport::default();
        let stand = Stand::over(transport, |_| {}).await;
        stand.rule(1, "sha1", Say::After(Duration::from_millis(20)));
        stand.upgrade(&[1]).await;
        stand.came(1, "sha1", 1).await;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let outcome = cancel(&stand, &[1]).await.remove(0);
        tokio::time::sleep(Duration::from_secs(60)).await;
        match (outcome.as_str(), stand.transport.begun(id(1))) {
            ("taken_back", 0) => taken_back += 1,
            ("begun", 1) => begun += 1,
            other => panic!("{moment} ms: {other:?}"),
        }
    }
    assert!(taken_back > 0 && begun > 0, "{taken_back}, {begun}");
}

#[tokio::test(start_paused = true)]
async fn a_word_that_comes_late_changes_nothing() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    let task = stand.task(1).id;
    assert_eq!(cancel(&stand, &[1]).await, ["taken_back"]);
    assert_ne!(stand.word(1, 0, "Done").await, 0);
    assert_ne!(stand.word_about(1, task, 0, "Done").await, 0);
    assert_eq!(stand.task(1).status, Status::Cancelled);
    assert_eq!(cancel(&stand, &[1]).await, ["ended"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_stays_so_after_a_kill() {
    let stand = narrow().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "write", 1).await;
    assert_eq!(cancel(&stand, &[1, 2]).await, ["taken_back"; 2]);
    let parts = stand.kill().await;
    let stand = parts.start().await;
    stand.transport.release();
    tokio::time::sleep(Duration::from_secs(600)).await;
    for agent in [1, 2] {
        assert_eq!(stand.task(agent).status, Status::Cancelled);
        assert_eq!(stand.transport.begun(id(agent)), 0);
    }
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.delivered(1).await;
}

/// Killed while it is asked: the task goes on, or is taken back, and the next run knows.
#[tokio::test(start_paused = true)]
async fn what_nobody_answered_is_one_or_the_other() {
    for lost in [Lost::Question, Lost::Answer] {
        let stand = Stand::new().await;
        stand.rule(1, "write", Say::Hang);
        stand.upgrade(&[1]).await;
        stand.came(1, "write", 1).await;
        stand.faults.1.lose("transition", lost);
        assert_eq!(cancel(&stand, &[1]).await, ["taken_back"], "{lost:?}");
        assert_eq!(stand.task(1).status, Status::Cancelled);
    }
}

/// As many as one request may name: most wait, some are sent, and some finish meanwhile.
#[tokio::test(start_paused = true)]
async fn a_thousand_are_taken_back_in_one_request_beside_those_that_begin() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 50.into()).await;
    let all: Vec<u32> = (1..=1_000).collect();
    let agents = all.iter().map(|id| agent(*id, "Wazuh v4.7.0"));
    stand.directory.put(agents);
    stand.upgrade(&all).await;
    stand.came(30, "upgrade", 1).await;
    let outcomes = cancel(&stand, &all).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let (mut taken_back, mut begun) = (0, 0);
    for (number, outcome) in all.iter().zip(&outcomes) {
        match (outcome.as_str(), stand.transport.begun(id(*number))) {
            ("taken_back", 0) => taken_back += 1,
            ("begun", 1) => begun += 1,
            other => panic!("agent {number}: {other:?}"),
        }
    }
    assert!(taken_back > 500 && begun > 0, "{taken_back}, {begun}");
    // Nothing of it is left in the way of others.
    let free = outcomes.iter().position(|one| one == "taken_back").unwrap();
    assert_eq!(stand.upgrade(&[all[free]]).await, [0]);
    stand.delivered(all[free]).await;
}

/// Before the daemon has found again what the last run left, and while it stops.
#[tokio::test(start_paused = true)]
async fn what_the_last_run_left_is_taken_back_by_the_next() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.rule(2, "upgrade", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "write", 1).await;
    stand.came(2, "upgrade", 1).await;
    let stand = stand.kill().await.start().await;
    assert_eq!(cancel(&stand, &[1, 2]).await, ["taken_back", "begun"]);
    stand.transport.release();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(stand.transport.begun(id(1)), 0);
    assert_eq!(stand.task(2).status, Status::InProgress);
    let parts = stand.stop().await;
    assert_eq!(parts.transport.begun(id(1)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_takes_nothing_back_and_says_why() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    stand
        .faults
        .add("transition", 1, StoreError::takes_nothing_back());
    let answer = stand.ask(COMMAND, json!({"agents": [1]})).await;
    let text = answer["data"][0]["message"].as_str().unwrap();
    assert!(text.contains("cannot take tasks back"), "{answer}");
    assert_ne!(answer["error"], 0);
    stand.transport.release();
    stand.delivered(1).await;
}

/// Any node takes back what another carries out, which leaves it when it looks around.
#[tokio::test(start_paused = true)]
async fn a_task_of_another_node_is_taken_back_here() {
    let store = shared();
    let (first, second) = two(&store).await;
    first.rule(1, "write", Say::Hang);
    first.upgrade(&[1, 2]).await;
    first.came(1, "write", 1).await;
    assert_eq!(cancel(&second, &[1]).await, ["taken_back"]);
    // Agent 1 never answers: its place is free all the same.
    first.delivered(2).await;
    assert_eq!(cancel(&second, &[2]).await, ["begun"]);
    first.transport.release();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(first.transport.begun(id(1)), 0);
    assert_eq!(first.task(1).status, Status::Cancelled);
}

/// A rollout would make another one: the answer says whose it is.
#[tokio::test(start_paused = true)]
async fn a_rollouts_task_is_left_to_the_rollout() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 2);
    let night = "[[site]]\nname = \"hq\"\nselect = \"group = prod\"\nwindows = [\"22:30-23:30\"]\n";
    apply(&stand, &format!("{night}{}", definition(ALL)))
        .await
        .unwrap();
    fleet.pass(&stand, 600).await;
    let item = stand.items(COMMAND, json!({"agents": [1]})).await.remove(0);
    assert_eq!(item["outcome"], "of_rollout", "{item}");
    assert_eq!(item["rollout"], "prod", "{item}");
    assert_eq!(stand.task(1).status, Status::Pending);
    let hold = json!({"agents": [1], "reason": "not now"});
    stand.items("agent_hold", hold).await;
    assert_eq!(stand.task(1).status, Status::Cancelled);
    assert_eq!(cancel(&stand, &[1]).await, ["ended"]);
}

/// What another program made is carried out by it: whether its installer runs is not known.
#[tokio::test(start_paused = true)]
async fn what_others_carry_out_is_left_to_them() {
    let stand = Stand::new().await;
    stand
        .ask_task("node01", "upgrade", json!({"agents": [4]}))
        .await;
    assert_eq!(cancel(&stand, &[4]).await, ["not_ours"]);
    assert_eq!(stand.task(4).status, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nonsense_changes_nothing() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    let many: Vec<u32> = (1..=1_001).collect();
    for parameters in [
        json!({}),
        json!({"agents": []}),
        json!({"agents": 1}),
        json!({"agents": [1, "2"]}),
        json!({"agents": [1, -1]}),
        json!({"agents": [1, 1u64 << 40]}),
        json!({"agents": many}),
    ] {
        let answer = stand.ask(COMMAND, parameters.clone()).await;
        assert_ne!(answer["error"], 0, "{parameters} {answer}");
    }
    let asked = json!({"command": COMMAND, "parameters": {"agents": [1]}});
    let agent = Peer::Agent(id(1));
    let answer = stand.call(Endpoint::Upgrade, agent, &asked).await;
    assert_ne!(answer["error"], 0, "an agent takes nothing back: {answer}");
    assert_eq!(stand.task(1).status, Status::InProgress);
    let answer = stand.call(Endpoint::Upgrade, Peer::Unknown, &asked).await;
    assert_eq!(
        answer["data"][0]["error_msg"],
        "Cancelled by a user who is not known"
    );
}
