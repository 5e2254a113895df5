//! The agent's word: early, late, twice, about another task, to a store that is
//! away.

use std::time::Duration;

use serde_json::json;
use wpk_api::{Endpoint, Peer, Status, StoreError, Task, TaskId, TimelineStep};
use wpk_testkit::memory::Say;

use crate::stand::{Stand, id};

const CLEAR: &str = "clear_upgrade_result";

async fn ended_by(error: i64, status: &str) -> wpk_api::Task {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    assert_eq!(stand.word(1, error, status).await, 0);
    stand.came(1, "clear_upgrade_result", 1).await;
    stand.task(1)
}

#[tokio::test(start_paused = true)]
async fn success_is_done() {
    assert_eq!(ended_by(0, "Done").await.status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn a_failed_installer_has_its_text() {
    let task = ended_by(2, "Failed").await;
    assert_eq!(task.status, Status::Failed);
    let text = "Upgrade procedure exited with error code";
    assert_eq!(task.error_msg.as_deref(), Some(text));
}

#[tokio::test(start_paused = true)]
async fn a_missing_dependency_has_its_text() {
    let task = ended_by(1, "Failed").await;
    let text = "Upgrade procedure exited with error code, missing dependency in agent";
    assert_eq!(task.error_msg.as_deref(), Some(text));
}

#[tokio::test(start_paused = true)]
async fn where_number_and_status_differ_the_number_decides() {
    assert_eq!(ended_by(0, "Failed").await.status, Status::Done);
    assert_eq!(ended_by(2, "Done").await.status, Status::Failed);
}

/// An agent cannot know how an installer ended that was not begun.
#[tokio::test(start_paused = true)]
async fn a_word_before_the_installer_changes_nothing() {
    for step in ["lock_restart", "write", "sha1"] {
        let stand = Stand::new().await;
        stand.rule(1, step, Say::Hang);
        stand.upgrade(&[1]).await;
        stand.came(1, step, 1).await;
        assert_eq!(stand.word(1, 0, "Done").await, 3, "{step}");
        assert_eq!(stand.task(1).status, Status::InProgress);
        // It is told to stop repeating itself all the same.
        stand.came(1, "clear_upgrade_result", 1).await;
        stand.transport.release();
        stand.delivered(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_between_two_attempts_changes_nothing() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 2).await;
    stand.rule_times(1, "write", Say::Close, 1);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stand.word(1, 0, "Done").await, 3);
    stand.delivered(1).await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_word_while_a_task_waits_changes_nothing() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    assert_eq!(stand.word(2, 0, "Done").await, 3);
    assert_eq!(stand.task(2).status, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_late_word_corrects_a_time_out() {
    for (error, status, end) in [(0, "Done", Status::Done), (2, "Failed", Status::Failed)] {
        let stand = Stand::new().await;
        stand.upgrade(&[1]).await;
        stand.delivered(1).await;
        stand.until(1, Status::Timeout).await;
        assert_eq!(stand.word(1, error, status).await, 0);
        assert_eq!(stand.task(1).status, end);
        let last = stand.timeline(1).pop().unwrap();
        assert_eq!(last.step, TimelineStep::LateReport);
        // And only once.
        assert_eq!(stand.word(1, error, status).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_word_goes_to_the_task_it_is_about() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let first = stand.until(1, Status::Timeout).await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 5).await;
    assert_eq!(stand.word(1, 2, "Failed").await, 0);
    assert_eq!(
        stand.task(1).status,
        Status::InProgress,
        "the second goes on"
    );
    let first = stand.store.tables().timeline(first.id).pop().unwrap();
    assert_eq!(first.step, TimelineStep::LateReport);
}

#[tokio::test(start_paused = true)]
async fn a_word_twice_counts_once() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.word(1, 2, "Failed").await, 3);
    assert_eq!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn an_agent_nobody_knows_refuses_only_itself() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let word = json!({"agents": [77, 1], "error": 0, "status": "Done", "message": "x"});
    let items = stand.items("upgrade_update_status", word).await;
    assert_eq!(
        (&items[0]["error"], &items[1]["error"]),
        (&json!(3), &json!(0))
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_store_cannot_keep_is_heard_again() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand
        .faults
        .add("transition", 1, StoreError::Full("no space".into()));
    assert_eq!(stand.word(1, 0, "Done").await, 4);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let cleared = stand.transport.count(id(1), "clear_upgrade_result");
    assert_eq!(cleared, 0, "it repeats itself");
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    stand.came(1, "clear_upgrade_result", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_word_with_a_status_that_is_none_is_code_4() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let word = json!({"agents": [1], "error": 9, "status": "Dance", "message": "x"});
    let word = json!({"command": "upgrade_update_status", "parameters": word});
    let answer = stand.call(Endpoint::Upgrade, Peer::Unknown, &word).await;
    assert_eq!(answer["data"][0]["error"], 4, "{answer}");
    assert_ne!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn words_of_agents_reach_the_timeline_clean_and_short() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let said = format!("\u{1b}[2Jfell over\n{}", "x".repeat(10_000));
    let word = json!({"agents": [1], "error": 2, "status": "Failed", "message": said});
    stand.items("upgrade_update_status", word).await;
    let last = stand.timeline(1).pop().unwrap().failure.unwrap();
    assert!(last.said.contains("fell over"), "{last:?}");
    assert!(last.said.len() <= 1024 && !last.said.chars().any(char::is_control));
}

/// A stand whose agent 1 names tasks, and runs its second installer after the
/// first timed out; both tasks.
async fn twice() -> (Stand, Task, Task) {
    let stand = Stand::new().await;
    stand.transport.names_tasks_of(id(1));
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let first = stand.until(1, Status::Timeout).await;
    assert_eq!(stand.transport.named(id(1), "upgrade"), Some(first.id));
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = stand.task(1);
    assert_eq!(stand.transport.named(id(1), "upgrade"), Some(second.id));
    (stand, first, second)
}

#[tokio::test(start_paused = true)]
async fn a_late_word_with_its_task_corrects_that_one_alone() {
    let (stand, first, second) = twice().await;
    assert_eq!(stand.word_about(1, first.id, 2, "Failed").await, 0);
    assert_eq!(stand.task(1).status, Status::InProgress);
    let late = stand.store.tables().timeline(first.id).pop().unwrap();
    assert_eq!(late.step, TimelineStep::LateReport);
    // Repeated, it moves nothing while the second runs.
    for (error, status) in [(2, "Failed"), (0, "Done")] {
        assert_eq!(stand.word_about(1, first.id, error, status).await, 3);
    }
    assert_eq!(stand.task(1).status, Status::InProgress);
    assert_eq!(stand.word_about(1, second.id, 0, "Done").await, 0);
    assert_eq!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_names_no_task_speaks_of_the_newest_begun_one() {
    let (stand, first, second) = twice().await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.task(1).status, Status::Done);
    assert_eq!(stand.task(1).id, second.id);
    let timeline = stand.store.tables().timeline(first.id);
    assert_eq!(timeline.last().unwrap().step, TimelineStep::Timeout);
    // One that does not take its id is sent what is recorded.
    stand.upgrade(&[2]).await;
    stand.delivered(2).await;
    assert_eq!(stand.transport.named(id(2), "upgrade"), None);
}

#[tokio::test(start_paused = true)]
async fn no_agent_moves_the_task_of_another() {
    let (stand, first, _) = twice().await;
    stand.upgrade(&[2]).await;
    stand.delivered(2).await;
    let second_agents = stand.task(2).id;
    for (agent, task) in [
        (1, second_agents),
        (2, first.id),
        (1, TaskId(-1)),
        (1, TaskId(99)),
    ] {
        assert_eq!(stand.word_about(agent, task, 2, "Failed").await, 3);
    }
    for agent in [1, 2] {
        assert_eq!(stand.task(agent).status, Status::InProgress);
    }
    assert_eq!(stand.word_about(2, second_agents, 0, "Done").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_word_with_its_task_is_none_before_the_installer() {
    let stand = Stand::new().await;
    stand.transport.names_tasks_of(id(1));
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    let task = stand.task(1).id;
    assert_eq!(stand.word_about(1, task, 0, "Done").await, 3);
    assert_eq!(stand.task(1).status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn what_is_cleared_is_the_result_of_the_named_task() {
    let (stand, first, second) = twice().await;
    stand.word_about(1, first.id, 0, "Done").await;
    stand.came(1, CLEAR, 1).await;
    assert_eq!(stand.transport.named(id(1), CLEAR), Some(first.id));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stand.word_about(1, second.id, 0, "Done").await;
    stand.came(1, CLEAR, 2).await;
    assert_eq!(stand.transport.named(id(1), CLEAR), Some(second.id));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stand.word(1, 0, "Done").await;
    stand.came(1, CLEAR, 3).await;
    assert_eq!(stand.transport.named(id(1), CLEAR), None);
}
