//! Slots: who is written to, who waits, and who is in nobody's way.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wpk_api::{Endpoint, Peer, Status, TimelineStep, Version};
use wpk_testkit::memory::{Say, Trouble, agent};

use crate::stand::{Stand, id};

#[tokio::test(start_paused = true)]
async fn no_more_agents_are_written_to_than_there_are_slots() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 2.into()).await;
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
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.upgrade(&[5, 2, 8]).await;
    stand.delivered(5).await;
    assert_eq!(stand.task(5).id.0, 1);
    stand.delivered(2).await;
    stand.delivered(8).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_repository_is_in_nobodys_way() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
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

/// However many wait: they hold nothing but memory.
#[tokio::test(start_paused = true)]
async fn thousands_that_wait_for_a_repository_do_not_delay_a_file_that_is_here() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 2.into()).await;
    let many: Vec<u32> = (1_001..=4_000).collect();
    let agents = many.iter().map(|id| agent(*id, "Wazuh v4.7.0"));
    stand.directory.put(agents);
    stand.upgrade(&[9]).await;
    stand.delivered(9).await;
    let other = Version::new(4, 14, 8);
    stand.provider.publish(other, vec![1; 1000]);
    stand.provider.set_trouble(Trouble::Slow);
    let asked = Instant::now();
    stand
        .codes(json!({"agents": many, "version": "v4.14.8"}))
        .await;
    stand.upgrade(&[8]).await;
    stand.came(8, "upgrade", 1).await;
    let took = asked.elapsed();
    // The first of them find out that it takes longer; nobody else does again.
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert_eq!(stand.task(4_000).status, Status::InProgress);
    stand.provider.release();
    stand.delivered(4_000).await;
    assert!(stand.transport.most_in_flight() <= 2);
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
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "write", 1).await;
    let moved = json!({"origin": {"name": "node01", "module": "upgrade_module"},
        "command": "upgrade_update_status",
        "parameters": {"agents": [2], "status": "In progress"}});
    let answer = stand
        .call(Endpoint::Task, Peer::Local { uid: 0 }, &moved)
        .await;
    assert_eq!(answer["data"][0]["error"], 0, "{answer}");
    // However long it waits for its turn.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(stand.task(2).status, Status::InProgress);
    stand.transport.release();
    stand.delivered(2).await;
    assert_eq!(stand.transport.begun(id(2)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_what_waits() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let parts = stand.stop().await;
    let found = parts.store.tables().latest(&[id(1), id(2)]);
    let statuses: Vec<_> = found.into_iter().map(|task| task.unwrap().status).collect();
    assert_eq!(statuses, [Status::InProgress, Status::Pending]);
}

const NOT_READY: Say =
    Say::Words(r#"{"error":1,"message":"Upgrade module is disabled or not ready yet","data":[]}"#);

#[tokio::test(start_paused = true)]
async fn silent_agents_cost_the_others_one_time_out() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 4.into()).await;
    for agent in 1..=4 {
        stand.rule(agent, "open", Say::TimeOut);
    }
    let start = Instant::now();
    stand.upgrade(&[1, 2, 3, 4]).await;
    stand.upgrade(&[5, 6, 7, 8, 9]).await;
    for agent in 5..=9 {
        stand.delivered(agent).await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(90),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(stand.transport.count(id(1), "open"), 1);
    stand.until(1, Status::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_ready_yet_is_asked_for_half_a_minute_aside() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", NOT_READY);
    stand.rule_times(2, "open", NOT_READY, 5);
    let start = Instant::now();
    stand.upgrade(&[1, 2, 3]).await;
    stand.delivered(3).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    stand.delivered(2).await;
    stand.until(1, Status::Failed).await;
    let took = start.elapsed().as_secs();
    assert!((30..40).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_costs_nobody_a_slot() {
    let stand = Stand::with(|settings| {
        settings.delivery.max_concurrent = 1.into();
        settings.delivery.attempts = 100;
    })
    .await;
    for agent in 1..=8 {
        stand.rule(agent, "write", Say::Close);
    }
    let start = Instant::now();
    stand.upgrade(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    stand.delivered(9).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_slow_for_ever_is_given_up() {
    let stand = Stand::with(|settings| {
        settings.delivery.timeout = wpk_api::settings::Span(Duration::from_secs(600));
        settings.delivery.chunk_size = Some(wpk_config::ChunkSize::Bytes(64));
    })
    .await;
    stand.rule(1, "write", Say::After(Duration::from_secs(70)));
    stand.upgrade(&[1]).await;
    let start = Instant::now();
    stand.until(1, Status::Failed).await;
    let took = start.elapsed().as_secs();
    assert!((595..=610).contains(&took), "{took} s");
    let failure = stand.timeline(1).pop().unwrap().failure.unwrap();
    assert!(failure.said.contains("delivery.timeout"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_delivery_tells_how_far_it_is() {
    let stand = Stand::with(|settings| {
        settings.delivery.chunk_size = Some(wpk_config::ChunkSize::Bytes(32_768));
    })
    .await;
    stand
        .provider
        .publish(crate::stand::NEWEST, vec![7; 3 << 20]);
    stand.rule(1, "write", Say::After(Duration::from_secs(10)));
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let timeline = stand.timeline(1);
    let far: Vec<_> = timeline
        .iter()
        .filter(|entry| entry.step == TimelineStep::Write)
        .filter_map(|entry| entry.detail.as_deref())
        .collect();
    assert_eq!(
        far,
        [
            "1048576 of 3145728 bytes",
            "2097152 of 3145728 bytes",
            "3145728 bytes, 32768 at a time"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn slots_are_never_exceeded_and_given_in_the_order_asked() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.upgrade(&[5, 4]).await;
    stand.upgrade(&[9]).await;
    stand.upgrade(&[1, 2]).await;
    stand.delivered(2).await;
    let order = stand.transport.order_of("upgrade");
    assert_eq!(order, [5, 4, 9, 1, 2].map(id));
    assert_eq!(stand.transport.most_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_wakes_the_queue_at_once() {
    let stand = Stand::new().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = Instant::now();
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_from_aside_waits_for_a_slot_again() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.upgrade(&[9]).await;
    stand.delivered(9).await;
    let other = Version::new(4, 14, 8);
    stand.provider.publish(other, vec![1; 1000]);
    stand.provider.set_trouble(Trouble::Slow);
    let wish = json!({"agents": [1], "version": "v4.14.8"});
    stand.codes(wish).await;
    stand.rule(2, "write", Say::Hang);
    stand.upgrade(&[2]).await;
    stand.came(2, "write", 1).await;
    stand.provider.release();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.steps(1), [""; 0], "the slot is another's");
    stand.transport.release();
    stand.delivered(1).await;
    assert_eq!(stand.transport.most_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dials_in_late_holds_no_slot_meanwhile() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.transport.disconnect(id(1));
    stand.upgrade(&[1, 2]).await;
    stand.delivered(2).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    stand.transport.connect(id(1));
    stand.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_come_within_a_minute_of_the_start_fails() {
    let stand = Stand::new().await;
    stand.transport.disconnect(id(1));
    for wait in [60, 0] {
        let asked = Instant::now();
        stand.upgrade(&[1]).await;
        let task = stand.until(1, Status::Failed).await;
        assert_eq!(task.error_msg.as_deref(), Some("Send lock restart error"));
        // Later than a minute after the start nobody is waited for.
        let took = asked.elapsed().as_secs_f64().round();
        assert_eq!(took, f64::from(wait));
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_fails_fails_all_who_wait_for_it_and_is_not_kept() {
    let stand = Stand::new().await;
    stand.provider.set_trouble(Trouble::BreaksOff);
    stand.upgrade(&[1, 2]).await;
    for agent in [1, 2] {
        let task = stand.until(agent, Status::Failed).await;
        let text = "The WPK file does not exist";
        assert_eq!(task.error_msg.as_deref(), Some(text));
    }
    stand.provider.release();
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
}
