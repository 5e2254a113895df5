//! A worker that ends at any moment, and what its file is good for.

use serde_json::json;
use wpk_api::{Cancel, Created, Status, StoreError};
use wpk_testkit::cluster::{Mood, TaskTable};
use wpk_testkit::wait_until;

use crate::common::{NODE, NOW, Stand, order, store, upgrade};

#[tokio::test]
async fn a_restarted_worker_finds_its_tasks_and_begins_no_installer_twice() {
    let mut stand = Stand::new(TaskTable::wazuh4());
    let (begun, running) = (stand.create(1).await, stand.create(2).await);
    assert_eq!(stand.claim().await, [begun, running]);
    let waiting = stand.create(3).await;
    assert!(stand.store.begin_installer(begun, NOW).await.unwrap());
    stand.restart();
    let interrupted = stand.store.interrupted(NODE, false).await.unwrap();
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].task.id, running);
    assert_eq!(interrupted[0].order.as_ref().unwrap(), &order(2));
    assert_eq!(stand.claim().await, [waiting]);
    assert!(!stand.store.begin_installer(begun, NOW).await.unwrap());
    assert!(stand.store.begin_installer(running, NOW).await.unwrap());
}

#[tokio::test]
async fn a_master_that_is_away_keeps_no_worker_from_starting() {
    let mut stand = Stand::new(TaskTable::wazuh4());
    let task = stand.create(1).await;
    stand.claim().await;
    stand.go_away();
    stand.restart();
    let interrupted = stand.store.interrupted(NODE, false).await.unwrap();
    assert_eq!(interrupted.len(), 1, "from our own file");
    let begun = stand.store.begin_installer(task, NOW).await;
    assert!(
        matches!(begun, Err(StoreError::Unavailable(_))),
        "{begun:?}"
    );
    stand.come_back();
    // It timed out meanwhile, so the installer must not be run.
    stand.table.set_status(1, "Timeout");
    assert!(!stand.store.begin_installer(task, NOW).await.unwrap());
    stand.restart();
    assert_eq!(stand.store.interrupted(NODE, false).await.unwrap(), []);
}

#[tokio::test]
async fn a_claim_that_was_not_noted_is_still_ours() {
    let stand = Stand::new(TaskTable::wazuh4());
    let task = stand.create(1).await;
    stand.table.set_status(1, "In progress");
    assert_eq!(stand.claim().await, [task]);
}

#[tokio::test]
async fn what_ended_at_the_master_leaves_the_queue() {
    let stand = Stand::new(TaskTable::documented());
    for agent in 1..=3 {
        stand.create(agent).await;
    }
    stand.table.set_status(1, "Cancelled");
    // Another node takes this agent: our Pending task is deleted.
    stand.table.answer(&json!({
        "origin": {"name": "node01"}, "command": "upgrade_get_status", "parameters": {"agents": [2]},
    }));
    let claimed = stand.store.claim(NODE, 2, NOW).await.unwrap();
    assert_eq!(claimed, [], "the two oldest are gone");
    assert_eq!(stand.claim().await.len(), 1);
    stand.table.set_status(3, "Timeout");
    stand.settle(NOW).await;
    let asked = stand.cluster().requests().len();
    stand.settle(NOW).await;
    assert_eq!(
        stand.cluster().requests().len(),
        asked,
        "nothing is left to ask about"
    );
}

#[tokio::test]
async fn a_crash_between_the_master_and_our_file_leaves_a_task_that_is_carried_out() {
    let stand = Stand::new(TaskTable::wazuh4());
    // The question never returns; the program that put it ends.
    let dying = store(&stand.home, &json!({"timeout": "5m"}));
    stand.cluster().set_next(Mood::Well);
    stand.cluster().set_next(Mood::Silent);
    let asking = tokio::spawn(async move { dying.create(vec![upgrade(1)]).await });
    wait_until(std::time::Duration::from_secs(20), async || {
        (stand.cluster().commands().last()? == "upgrade_custom").then_some(())
    })
    .await
    .expect("the master is asked");
    asking.abort();
    // That is how far the master got.
    let task = stand.table.add(1, NODE);
    assert_eq!(stand.claim().await, [], "nobody knows yet");
    stand.settle(NOW + 1).await;
    let claimed = stand.store.claim(NODE, 10, NOW).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].task.id.0, task);
    assert_eq!(claimed[0].order.as_ref().unwrap(), &order(1));
}

#[tokio::test]
async fn a_lost_answer_leaves_no_task_that_nobody_carries_out() {
    let stand = Stand::new(TaskTable::wazuh4());
    stand.cluster().set_next(Mood::Well);
    stand.cluster().set_next(Mood::Forgetful);
    let lost = stand.store.create(vec![upgrade(1), upgrade(2)]).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    assert_eq!(stand.table.statuses(1), ["Pending"], "asked once");
    assert_eq!(
        stand.claim().await,
        [],
        "the caller was told that there is none"
    );
    // Asked again, the agent gets the very same task.
    let again = stand.create(1).await;
    assert_eq!(stand.table.statuses(1), ["Pending"]);
    // Not asked again, it ends.
    stand.settle(NOW).await;
    let ended = stand.latest(2).await.unwrap();
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(
        ended.error_msg.as_deref(),
        Some("Task manager communication error")
    );
    assert_eq!(stand.claim().await, [again]);
}

#[tokio::test]
async fn a_late_task_is_looked_for_some_minutes() {
    let stand = Stand::new(TaskTable::wazuh4());
    for late in [true, false] {
        stand.cluster().set_next(Mood::Well);
        stand
            .cluster()
            .set_next(Mood::Failing("Timeout".to_owned()));
        stand.store.create(vec![upgrade(1)]).await.unwrap_err();
        stand.settle(NOW + 30).await;
        if late {
            stand.table.add(1, NODE);
            stand.settle(NOW + 60).await;
            assert_eq!(stand.table.statuses(1), ["Failed"]);
        } else {
            stand.settle(NOW + 3_600).await;
            let asked = stand.cluster().requests().len();
            stand.settle(NOW + 3_600).await;
            assert_eq!(stand.cluster().requests().len(), asked);
        }
    }
}

#[tokio::test]
async fn a_task_whose_row_was_lost_is_taken_up_by_the_next_request() {
    let stand = Stand::new(TaskTable::wazuh4());
    let lost = stand.table.add(1, NODE);
    let taken = stand.create(1).await;
    assert_eq!(taken.0, lost);
    assert_eq!(stand.table.statuses(1), ["Pending"]);
    assert_eq!(stand.claim().await, [taken]);
}

#[tokio::test]
async fn cancelling_waits_for_a_master_that_is_away() {
    let mut stand = Stand::new(TaskTable::wazuh4());
    let running = stand.create(1).await;
    stand.claim().await;
    stand.create(2).await;
    stand.create(3).await;
    stand.go_away();
    stand.restart();
    assert_eq!(
        stand
            .store
            .cancel(NODE, Cancel::Pending, NOW)
            .await
            .unwrap(),
        2
    );
    stand.restart();
    stand.come_back();
    // Before anything new is created, so that it is not cancelled with the rest.
    let new = stand.store.create(vec![upgrade(2)]).await.unwrap();
    assert!(matches!(new[..], [Created::Task(_)]), "{new:?}");
    assert_eq!(stand.cluster().commands()[0], "upgrade_cancel_tasks");
    assert_eq!(stand.table.statuses(2), ["Cancelled", "Pending"]);
    assert_eq!(stand.table.statuses(3), ["Cancelled"]);
    assert!(stand.store.begin_installer(running, NOW).await.unwrap());
    assert_eq!(
        stand
            .store
            .cancel(NODE, Cancel::Pending, NOW)
            .await
            .unwrap(),
        1
    );
    assert_eq!(stand.table.statuses(2), ["Cancelled", "Cancelled"]);
}
