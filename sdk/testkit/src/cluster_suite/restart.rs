//! A worker that ends at any moment, and what its file is good for.

use serde_json::json;
use wpk_api::{Cancel, Created, Status, StoreError, TaskStore};

use super::stand::{NODE, NOW, Stand, order, upgrade};
use crate::cluster::{Mood, TaskTable};
use crate::stands::AnyFactory;
use crate::suite::{DEADLINE, ok};
use crate::wait_until;

/// All stories.
pub async fn run(factory: &AnyFactory<dyn TaskStore>) {
    a_restarted_worker_finds_its_tasks_and_begins_no_installer_twice(factory).await;
    a_master_that_is_away_keeps_no_worker_from_starting(factory).await;
    a_claim_that_was_not_noted_is_still_ours(factory).await;
    what_ended_at_the_master_leaves_the_queue(factory).await;
    a_crash_between_the_master_and_our_file_leaves_a_task_that_is_carried_out(factory).await;
    a_lost_answer_leaves_no_task_that_nobody_carries_out(factory).await;
    a_late_task_is_looked_for_some_minutes(factory).await;
    a_task_whose_row_was_lost_is_taken_up_by_the_next_request(factory).await;
    cancelling_waits_for_a_master_that_is_away(factory).await;
}

async fn a_restarted_worker_finds_its_tasks_and_begins_no_installer_twice(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let mut stand = Stand::new(factory, TaskTable::wazuh4());
    let (begun, running) = (stand.create(1).await, stand.create(2).await);
    assert_eq!(stand.claim().await, [begun, running]);
    let waiting = stand.create(3).await;
    assert!(ok(
        "begin_installer",
        stand.store.begin_installer(begun, None, NOW).await
    ));
    stand.restart();
    let interrupted = ok("interrupted", stand.store.interrupted(NODE, false).await);
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].task.id, running);
    assert_eq!(interrupted[0].order.as_ref(), Ok(&order(2)));
    assert_eq!(stand.claim().await, [waiting]);
    assert!(!ok(
        "begin_installer",
        stand.store.begin_installer(begun, None, NOW).await
    ));
    assert!(ok(
        "begin_installer",
        stand.store.begin_installer(running, None, NOW).await
    ));
}

async fn a_master_that_is_away_keeps_no_worker_from_starting(factory: &AnyFactory<dyn TaskStore>) {
    let mut stand = Stand::new(factory, TaskTable::wazuh4());
    let task = stand.create(1).await;
    stand.claim().await;
    stand.go_away();
    stand.restart();
    let interrupted = ok("interrupted", stand.store.interrupted(NODE, false).await);
    assert_eq!(interrupted.len(), 1, "from our own file");
    let begun = stand.store.begin_installer(task, None, NOW).await;
    assert!(
        matches!(begun, Err(StoreError::Unavailable(_))),
        "{begun:?}"
    );
    stand.come_back();
    // It timed out meanwhile, so the installer must not be run.
    stand.table.set_status(1, "Timeout");
    assert!(!ok(
        "begin_installer",
        stand.store.begin_installer(task, None, NOW).await
    ));
    stand.restart();
    assert_eq!(
        ok("interrupted", stand.store.interrupted(NODE, false).await),
        []
    );
}

async fn a_claim_that_was_not_noted_is_still_ours(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let task = stand.create(1).await;
    stand.table.set_status(1, "In progress");
    assert_eq!(stand.claim().await, [task]);
}

async fn what_ended_at_the_master_leaves_the_queue(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::documented());
    for agent in 1..=3 {
        stand.create(agent).await;
    }
    stand.table.set_status(1, "Failed");
    // Another node takes this agent: our Pending task is deleted.
    stand.table.answer(&json!({
        "origin": {"name": "node01"}, "command": "upgrade_get_status", "parameters": {"agents": [2]},
    }));
    let claimed = ok("claim", stand.store.claim(NODE, 2, NOW).await);
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

async fn a_crash_between_the_master_and_our_file_leaves_a_task_that_is_carried_out(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    // The question never returns; the program that put it ends.
    let dying = stand.store(&json!({"timeout": "5m"}));
    stand.cluster().set_next(Mood::Well);
    stand.cluster().set_next(Mood::Silent);
    let asking = tokio::spawn(async move { dying.create(vec![upgrade(1)]).await });
    let asked = wait_until(DEADLINE, async || {
        (stand.cluster().commands().last()? == "upgrade_custom").then_some(())
    });
    assert!(asked.await.is_some(), "the master is asked");
    asking.abort();
    // That is how far the master got.
    let task = stand.table.add(1, NODE);
    assert_eq!(stand.claim().await, [], "nobody knows yet");
    stand.settle(NOW + 1).await;
    let claimed = ok("claim", stand.store.claim(NODE, 10, NOW).await);
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].task.id.0, task);
    assert_eq!(claimed[0].order.as_ref(), Ok(&order(1)));
}

async fn a_lost_answer_leaves_no_task_that_nobody_carries_out(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
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
    let ended = stand.task_of(2).await;
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(
        ended.error_msg.as_deref(),
        Some("Task manager communication error")
    );
    assert_eq!(stand.claim().await, [again]);
}

async fn a_late_task_is_looked_for_some_minutes(factory: &AnyFactory<dyn TaskStore>) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    for late in [true, false] {
        stand.cluster().set_next(Mood::Well);
        stand
            .cluster()
            .set_next(Mood::Failing("Timeout".to_owned()));
        let failed = stand.store.create(vec![upgrade(1)]).await;
        assert!(failed.is_err(), "{failed:?}");
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

async fn a_task_whose_row_was_lost_is_taken_up_by_the_next_request(
    factory: &AnyFactory<dyn TaskStore>,
) {
    let stand = Stand::new(factory, TaskTable::wazuh4());
    let lost = stand.table.add(1, NODE);
    let taken = stand.create(1).await;
    assert_eq!(taken.0, lost);
    assert_eq!(stand.table.statuses(1), ["Pending"]);
    assert_eq!(stand.claim().await, [taken]);
}

async fn cancelling_waits_for_a_master_that_is_away(factory: &AnyFactory<dyn TaskStore>) {
    let mut stand = Stand::new(factory, TaskTable::wazuh4());
    let running = stand.create(1).await;
    stand.claim().await;
    stand.create(2).await;
    stand.create(3).await;
    stand.go_away();
    stand.restart();
    assert_eq!(
        ok(
            "cancel",
            stand.store.cancel(NODE, Cancel::Pending, NOW).await
        ),
        2
    );
    stand.restart();
    stand.come_back();
    // Before anything new is created, so that it is not cancelled with the rest.
    let new = ok("create", stand.store.create(vec![upgrade(2)]).await);
    assert!(matches!(new[..], [Created::Task(_)]), "{new:?}");
    assert_eq!(stand.cluster().commands()[0], "upgrade_cancel_tasks");
    assert_eq!(stand.table.statuses(2), ["Cancelled", "Pending"]);
    assert_eq!(stand.table.statuses(3), ["Cancelled"]);
    assert!(ok(
        "begin_installer",
        stand.store.begin_installer(running, None, NOW).await
    ));
    assert_eq!(
        ok(
            "cancel",
            stand.store.cancel(NODE, Cancel::Pending, NOW).await
        ),
        1
    );
    assert_eq!(stand.table.statuses(2), ["Cancelled", "Cancelled"]);
}
