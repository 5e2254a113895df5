//! Slots: who is written to, who waits, and who is in nobody's way.

use std::time::Duration;

use serde_json::json;
use wpk_api::{Endpoint, Peer, Status, Version};
use wpk_testkit::memory::{Say, Trouble};

use crate::stand::{Stand, id};

#[tokio::test(start_paused = true)]
async fn no_more_agents_are_written_to_than_there_are_slots() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 2).await;
    for agent in 1..=4 {
        stand.rule(agent, "open", Say::Hang);
    }
    stand.upgrade(&[1, 2, 3, 4]).await;
    stand.came(2, "open", 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stand.task(3).status, Status::Pending);
    stand.transport.release();
    for agent in 1..=4 {
        stand.delivered(agent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_go_in_the_order_they_were_asked_for() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1).await;
    stand.upgrade(&[5, 2, 8]).await;
    stand.delivered(5).await;
    assert_eq!(stand.task(5).id.0, 1);
    stand.delivered(2).await;
    stand.delivered(8).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_repository_is_in_nobodys_way() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1).await;
    stand.upgrade(&[9]).await;
    stand.delivered(9).await;
    stand
        .provider
        .publish(Version::new(4, 14, 8), vec![1; 1000]);
    stand.provider.set_trouble(Trouble::Slow);
    stand
        .codes(json!({"agents": [1, 2, 3], "version": "v4.14.8"}))
        .await;
    // Its file is here already.
    stand.upgrade(&[4]).await;
    stand.delivered(4).await;
    stand.provider.release();
    for agent in 1..=3 {
        stand.delivered(agent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_asked_again() {
    let stand = Stand::new().await;
    let away = wpk_api::StoreError::Unavailable("away".into());
    stand.faults.add("claim", 3, away);
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
}

/// A client of the task socket may say that a task is In progress; it has an
/// order, so it is carried out.
#[tokio::test(start_paused = true)]
async fn a_task_that_somebody_moved_is_carried_out() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let moved = json!({"origin": {"name": "node01", "module": "upgrade_module"},
        "command": "upgrade_update_status",
        "parameters": {"agents": [2], "status": "In progress"}});
    let answer = stand
        .call(Endpoint::Task, Peer::Local { uid: 0 }, &moved)
        .await;
    assert_eq!(answer["data"][0]["error"], 0, "{answer}");
    stand.transport.release();
    stand.delivered(2).await;
    assert_eq!(stand.transport.begun(id(2)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_what_waits() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let parts = stand.stop().await;
    let found = parts.store.tables().latest(&[id(1), id(2)]);
    let statuses: Vec<_> = found.into_iter().map(|task| task.unwrap().status).collect();
    assert_eq!(statuses, [Status::InProgress, Status::Pending]);
}
