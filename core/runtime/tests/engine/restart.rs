//! What a stop, a kill and a start make of tasks.

use std::time::Duration;

use futures_util::FutureExt;
use wpk_api::{Command, NewTask, Status, UnixTime};
use wpk_config::OnRestart;
use wpk_testkit::memory::Say;

use crate::stand::{EPOCH, Parts, Stand, id};

/// Agent 1 awaits its word, 2 is being written to, 3 waits.
async fn three(on_restart: OnRestart) -> Stand {
    let stand = Stand::with(|settings| {
        settings.tasks.on_restart = on_restart;
        settings.delivery.max_concurrent = 1.into();
    })
    .await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand.rule(2, "write", Say::Hang);
    stand.upgrade(&[2, 3]).await;
    stand.came(2, "write", 1).await;
    stand
}

async fn restarted(parts: Parts) -> Stand {
    parts.transport.release();
    parts.start().await
}

#[tokio::test(start_paused = true)]
async fn what_was_interrupted_and_what_waits_goes_on() {
    let stand = restarted(three(OnRestart::Resume).await.kill().await).await;
    stand.delivered(2).await;
    stand.delivered(3).await;
    assert_eq!(stand.transport.begun(id(1)), 1, "never twice");
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_order_leaves_the_same() {
    let stand = three(OnRestart::Resume).await;
    let parts = stand.stop().await;
    let stand = restarted(parts).await;
    stand.delivered(2).await;
    stand.delivered(3).await;
    assert_eq!(stand.transport.begun(id(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_begun_is_cancelled_at_once_where_that_is_wanted() {
    let stand = restarted(three(OnRestart::Cancel).await.kill().await).await;
    assert_eq!(stand.task(2).status, Status::Cancelled);
    assert_eq!(stand.task(3).status, Status::Cancelled);
    assert_eq!(
        stand.task(1).status,
        Status::InProgress,
        "its installer runs"
    );
    assert_eq!(stand.word(2, 0, "Done").await, 3, "its installer never ran");
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.upgrade(&[2, 3]).await, [0, 0]);
}

fn foreign(agent: u32, at: UnixTime) -> NewTask {
    NewTask {
        agent: id(agent),
        node: "node01".into(),
        module: "upgrade_module".into(),
        command: Command::Upgrade,
        created: at,
        order: None,
        exclusive: false,
        held: false,
        fence: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_carry_out_is_cancelled_in_both_ways() {
    for on_restart in [OnRestart::Resume, OnRestart::Cancel] {
        let parts = Stand::with(|settings| settings.tasks.on_restart = on_restart)
            .await
            .stop()
            .await;
        parts.store.tables().create(vec![foreign(5, EPOCH)]);
        let stand = parts.start().await;
        assert_eq!(stand.task(5).status, Status::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_agent_is_told_waits_for_its_answer() {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", Say::After(Duration::from_secs(10)));
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    let parts = stand.stop().await;
    assert_eq!(parts.transport.begun(id(1)), 1);
    let stand = parts.start().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stand.transport.count(id(1), "upgrade"), 1, "never twice");
    assert_eq!(stand.word(1, 0, "Done").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_the_installer_was_begun_begins_it_never_again() {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    let stand = restarted(stand.kill().await).await;
    stand.until(1, Status::Timeout).await;
    assert_eq!(stand.transport.count(id(1), "upgrade"), 1);
    // Its word comes all the same, and counts.
    assert_eq!(stand.word(1, 2, "Failed").await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_delivery_has_one_attempt_more() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    let parts = stand.kill().await;
    parts.transport.release();
    parts.transport.rule(id(1), "close", Say::Close, 1);
    let stand = parts.start().await;
    stand.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_interrupted_comes_first() {
    let stand = restarted(three(OnRestart::Resume).await.kill().await).await;
    stand.delivered(3).await;
    let order = stand.transport.order_of("upgrade");
    assert_eq!(order, [1, 2, 3].map(id));
}

/// All are in hand at once, however long they wait for a slot.
#[tokio::test(start_paused = true)]
async fn what_was_interrupted_is_not_timed_out_while_it_waits_for_a_slot() {
    let stand = Stand::with(|settings| {
        settings.tasks.task_timeout = wpk_api::settings::Span(Duration::from_secs(60));
        settings.delivery.max_concurrent = 3.into();
    })
    .await;
    for agent in [1, 2, 3] {
        stand.rule(agent, "write", Say::Hang);
    }
    stand.upgrade(&[1, 2, 3]).await;
    stand.came(3, "write", 1).await;
    let mut parts = stand.kill().await;
    parts.transport.release();
    parts.settings.delivery.max_concurrent = 1.into();
    let slow = Say::After(Duration::from_secs(300));
    parts.transport.rule(id(1), "close", slow, 1);
    let stand = parts.start().await;
    stand.delivered(3).await;
    assert_eq!(stand.task(3).status, Status::InProgress);
    assert_eq!(stand.transport.order_of("upgrade"), [1, 2, 3].map(id));
}

/// A claim whose answer was lost with the process.
#[tokio::test(start_paused = true)]
async fn a_task_that_was_taken_and_never_carried_out_is_found_again() {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    stand.rule(1, "open", Say::Hang);
    stand.upgrade(&[1, 2]).await;
    stand.came(1, "open", 1).await;
    let parts = stand.kill().await;
    let claimed = parts.store.tables().claim("node01", 10, EPOCH);
    assert_eq!(claimed.len(), 1, "the second");
    let stand = restarted(parts).await;
    stand.delivered(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_whose_store_cannot_be_read_does_not_start() {
    for operation in ["cancel", "interrupted"] {
        let stand = Stand::new().await;
        assert!(stand.control.begun().now_or_never().is_some());
        let parts = stand.stop().await;
        let away = wpk_api::StoreError::Unavailable("away".into());
        parts.faults.add(operation, 1, away);
        let stand = parts.start().await;
        assert!(stand.control.begun().now_or_never().is_none());
        assert!(stand.control.ready().await.is_err());
        let ended = stand.ended().await;
        let recovery = matches!(ended, Err(wpk_runtime::EngineError::Recovery(_)));
        assert!(recovery, "{operation}: {ended:?}");
    }
}

const CRASH: &str = "SIGSEGV while the code of plugin odd (/opt/odd.so) was running";

#[tokio::test(start_paused = true)]
async fn a_delivery_that_met_two_crashes_ends_with_that_cause() {
    let mut stand = three(OnRestart::Resume).await;
    for _ in 0..2 {
        let parts = stand.kill().await;
        stand = parts.start_after(Some(CRASH)).await;
        assert_eq!(
            stand.task(1).status,
            Status::InProgress,
            "its installer runs"
        );
    }
    let task = stand.task(2);
    assert_eq!(task.status, Status::Failed);
    let error_msg = task.error_msg.unwrap();
    assert!(
        error_msg.contains("crashed twice") && error_msg.contains("/opt/odd.so"),
        "{error_msg}"
    );
    let timeline = stand.timeline(2);
    let cause = timeline
        .last()
        .and_then(|entry| entry.failure.clone())
        .unwrap();
    assert!(cause.said.contains(CRASH), "{cause:?}");
    assert!(cause.advice.contains("wpkctl doctor"), "{cause:?}");
    // What waited was not under way, and the agent is free again.
    stand.transport.release();
    stand.delivered(3).await;
    assert_eq!(stand.upgrade(&[2]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_killed_takes_no_delivery_with_it() {
    let mut stand = three(OnRestart::Resume).await;
    for crash in [None, Some(CRASH), None, None] {
        let parts = stand.kill().await;
        stand = parts.start_after(crash).await;
        assert_eq!(stand.task(2).status, Status::InProgress, "{crash:?}");
    }
    stand.transport.release();
    stand.delivered(2).await;
}
