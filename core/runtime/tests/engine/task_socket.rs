//! The task socket, as the managers of other nodes use it.

use serde_json::{Value, json};
use wpk_api::{Status, StoreError};
use wpk_testkit::memory::Say;

use crate::stand::Stand;

/// Code and agent of each item.
fn codes(answer: &Value) -> Vec<(i64, Option<i64>)> {
    let items = answer["data"].as_array().unwrap().iter();
    items
        .map(|item| (item["error"].as_i64().unwrap(), item["agent"].as_i64()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_of_another_module_is_kept_and_never_carried_out() {
    let stand = Stand::new().await;
    let own = json!({"agents": [1]});
    let answer = stand.ask_task("node01", "upgrade", own.clone()).await;
    assert_eq!(codes(&answer), [(0, Some(1))]);
    // The queue looks around several times meanwhile.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let answer = stand.ask_task("node01", "upgrade_get_status", own).await;
    assert_eq!(answer["data"][0]["status"], "Pending");
    assert_eq!(stand.steps(1), [""; 0]);
    // Whoever carries it out says how it goes on.
    for (status, code, then) in [
        ("Done", 3, Status::Pending),
        ("In progress", 0, Status::InProgress),
        ("Done", 0, Status::Done),
        ("Failed", 3, Status::Done),
    ] {
        let update = json!({"agents": [1], "status": status});
        let answer = stand.ask_task("node01", "upgrade_update_status", update);
        assert_eq!(codes(&answer.await), [(code, Some(1))], "{status}");
        assert_eq!(stand.task(1).status, then);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_begins_a_task() {
    let stand = Stand::new().await;
    stand
        .ask_task("node02", "upgrade", json!({"agents": [1]}))
        .await;
    let begin = json!({"agents": [1], "status": "In progress"});
    for (node, code) in [("node01", 3), ("node02", 0)] {
        let answer = stand.ask_task(node, "upgrade_update_status", begin.clone());
        assert_eq!(codes(&answer.await), [(code, Some(1))], "{node}");
    }
    // An agent's word may reach any node.
    let failed = json!({"agents": [1], "status": "Failed", "error_msg": "broken"});
    stand
        .ask_task("node01", "upgrade_update_status", failed)
        .await;
    let task = stand.task(1);
    assert_eq!(task.status, Status::Failed);
    assert_eq!(task.error_msg.as_deref(), Some("broken"));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_of_another_node_gives_way_to_who_asks() {
    let stand = Stand::new().await;
    stand
        .ask_task("node02", "upgrade", json!({"agents": [1]}))
        .await;
    let both = json!({"agents": [1, 2]});
    let answer = stand
        .ask_task("node02", "upgrade_get_status", both.clone())
        .await;
    assert_eq!(answer["data"][0]["status"], "Pending");
    let answer = stand
        .ask_task("node01", "upgrade_get_status", both.clone())
        .await;
    assert_eq!(codes(&answer), [(0, Some(1)), (0, Some(2))]);
    assert_eq!(answer["data"][0].get("status"), None);
    let answer = stand.ask_task("node01", "upgrade_result", both).await;
    assert_eq!(
        codes(&answer),
        [(3, Some(1)), (3, Some(2))],
        "it was deleted"
    );
}

/// One that somebody holds the order of goes on, and whoever asks is told so.
#[tokio::test(start_paused = true)]
async fn a_waiting_task_of_another_node_that_is_carried_out_there_stays() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let held = json!({"agents": [3], "holds_order": true});
    stand.ask_task("node02", "upgrade", held).await;
    stand
        .ask_task("node03", "upgrade", json!({"agents": [4]}))
        .await;
    let all = json!({"agents": [1, 2, 3, 4]});
    let answer = stand.ask_task("node09", "upgrade_get_status", all).await;
    let statuses: Vec<_> = (0..4)
        .map(|at| answer["data"][at]["status"].as_str())
        .collect();
    assert_eq!(
        statuses,
        [Some("In progress"), Some("Pending"), Some("Pending"), None]
    );
    assert_eq!(stand.task(2).status, Status::Pending);
    assert_eq!(stand.task(3).status, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn waiting_tasks_of_a_node_are_cancelled_when_it_asks_for_it() {
    let stand = Stand::new().await;
    for (node, agent) in [("node02", 1), ("node03", 2)] {
        stand
            .ask_task(node, "upgrade", json!({"agents": [agent]}))
            .await;
    }
    let answer = stand
        .ask_task("node02", "upgrade_cancel_tasks", json!({}))
        .await;
    assert_eq!(codes(&answer), [(0, None)]);
    assert_eq!(stand.task(1).status, Status::Cancelled);
    assert_eq!(stand.task(2).status, Status::Pending);
}

/// What a built-in upgrade module sends at each of its starts, beside a daemon of ours on
/// the master and on a worker.
#[tokio::test(start_paused = true)]
async fn a_module_that_starts_anew_cancels_nothing_that_a_daemon_of_ours_carries_out() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let created = |agent: u32| json!({"agents": [agent]});
    stand.ask_task("node01", "upgrade", created(3)).await;
    stand.ask_task("node02", "upgrade", created(4)).await;
    let held = json!({"agents": [5], "holds_order": true});
    stand.ask_task("node02", "upgrade_custom", held).await;
    for node in ["node01", "node02"] {
        let answer = stand.ask_task(node, "upgrade_cancel_tasks", json!({}));
        assert_eq!(codes(&answer.await), [(0, None)]);
    }
    let statuses = (1..=5).map(|agent| stand.task(agent).status);
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [
            Status::InProgress,
            Status::Pending,
            Status::Cancelled,
            Status::Cancelled,
            Status::Pending,
        ]
    );
    stand.transport.release();
    stand.delivered(2).await;
    // The daemon that holds the order may take it back.
    let own = json!({"holds_order": true});
    stand.ask_task("node02", "upgrade_cancel_tasks", own).await;
    assert_eq!(stand.task(5).status, Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_a_database_error() {
    let stand = Stand::new().await;
    let away = StoreError::Unavailable("away".into());
    stand.faults.add("create", 1, away);
    let answer = stand
        .ask_task("node01", "upgrade", json!({"agents": [1]}))
        .await;
    assert_eq!(
        (&answer["error"], codes(&answer)),
        (&json!(4), vec![(4, None)])
    );
}

/// A client of the task socket must not end what an agent was not even told of.
#[tokio::test(start_paused = true)]
async fn a_task_of_ours_is_not_done_before_its_installer_was_begun() {
    let stand = Stand::new().await;
    stand.rule(1, "close", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "close", 1).await;
    let done = json!({"agents": [1], "status": "Done"});
    let answer = stand.ask_task("node01", "upgrade_update_status", done.clone());
    assert_eq!(codes(&answer.await), [(3, Some(1))]);
    stand.transport.release();
    stand.delivered(1).await;
    let answer = stand.ask_task("node01", "upgrade_update_status", done);
    assert_eq!(codes(&answer.await), [(0, Some(1))]);
}
