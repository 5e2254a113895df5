//! Time-outs and clean-up, with a clock that somebody sets.

use std::time::Duration;

use wpk_api::settings::Span;
use wpk_api::{Status, StoreError};
use wpk_runtime::Clock;
use wpk_testkit::memory::Say;

use crate::stand::{EPOCH, Stand, id};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_task_without_a_word_times_out_after_its_time() {
    let stand = Stand::installing().await;
    tokio::time::sleep(14 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
    assert_eq!(stand.upgrade(&[1]).await, [0], "the agent is free again");
}

/// As SIGHUP does; what has been measured so far counts.
#[tokio::test(start_paused = true)]
async fn another_time_out_counts_at_once() {
    let stand = Stand::installing().await;
    tokio::time::sleep(10 * MINUTE).await;
    let mut settings = stand.settings.clone();
    settings.tasks.task_timeout = Span(20 * MINUTE);
    stand.control.set_limits(&settings);
    tokio::time::sleep(9 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    settings.tasks.task_timeout = Span(5 * MINUTE);
    stand.control.set_limits(&settings);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_forward_times_nothing_out() {
    let stand = Stand::installing().await;
    tokio::time::sleep(MINUTE).await;
    stand.step_clock(3_600);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(6 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

/// Also before the task manager looked for the first time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_just_after_the_start_times_nothing_out() {
    for seconds in [3_600, -30 * 86_400] {
        let stand = Stand::installing().await;
        stand.step_clock(seconds);
        tokio::time::sleep(10 * MINUTE).await;
        assert_eq!(stand.task(1).status, Status::InProgress, "{seconds}");
        tokio::time::sleep(6 * MINUTE).await;
        assert_eq!(stand.task(1).status, Status::Timeout, "{seconds}");
    }
}

/// What this run began is not taken for what an earlier one left.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_the_start_and_a_set_clock_time_nothing_out() {
    let parts = Stand::new().await.stop().await;
    let away = StoreError::Unavailable("gone".into());
    parts.faults.add("in_progress", 3, away);
    let stand = parts.start().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand.step_clock(3_600);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_back_keeps_nobody_waiting() {
    let stand = Stand::installing().await;
    tokio::time::sleep(MINUTE).await;
    stand.step_clock(-30 * 86_400);
    tokio::time::sleep(16 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_delivered_does_not_time_out() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    tokio::time::sleep(120 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    stand.transport.release();
    stand.delivered(1).await;
    // And then has its whole time.
    tokio::time::sleep(14 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_is_judged_by_the_times_that_were_stored() {
    let parts = Stand::installing().await.stop().await;
    // The machine was off for a while.
    tokio::time::sleep(10 * MINUTE).await;
    let stand = parts.start().await;
    tokio::time::sleep(4 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_put_back_between_two_runs_keeps_nobody_waiting() {
    let parts = Stand::installing().await.stop().await;
    let stand = parts.start().await;
    stand.step_clock(-86_400);
    let parts = stand.stop().await;
    let stand = parts.start().await;
    tokio::time::sleep(16 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

/// What is stored is the same second as before the stop, for a word that is minutes
/// later.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_went_on_has_its_whole_time_whatever_the_clock_says() {
    let stand = Stand::new().await;
    stand.rule(1, "write", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "write", 1).await;
    let parts = stand.stop().await;
    let claimed = parts.store.tables().latest(&[id(1)])[0].clone().unwrap();
    tokio::time::sleep(14 * MINUTE).await;
    let stand = parts.start().await;
    stand.came(1, "write", 2).await;
    stand.step_clock(claimed.updated.unwrap() - stand.clock.now());
    stand.transport.release();
    stand.delivered(1).await;
    assert_eq!(stand.task(1).updated, claimed.updated);
    tokio::time::sleep(14 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn only_what_has_ended_is_deleted() {
    let stand = Stand::with(|settings| {
        settings.tasks.cleanup_time = wpk_api::settings::Span(60 * MINUTE);
        settings.delivery.max_concurrent = 1.into();
    })
    .await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    stand.rule(2, "write", Say::Hang);
    stand.upgrade(&[2, 3]).await;
    stand.came(2, "write", 1).await;
    tokio::time::sleep(300 * MINUTE).await;
    assert_eq!(stand.store.tables().latest(&[crate::stand::id(1)]), [None]);
    assert_eq!(stand.task(2).status, Status::InProgress);
    assert_eq!(stand.task(3).status, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn an_update_from_elsewhere_begins_the_time_anew() {
    let stand = Stand::installing().await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let task = stand.task(1).id;
    stand.store.tables().touch(&[task], EPOCH + 600);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    stand.until(1, Status::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_time_outs_and_loses_none() {
    let stand = Stand::installing().await;
    let away = || StoreError::Unavailable("away".into());
    // Looked at twice a minute: away until long after the time-out.
    stand.faults.add("expire", 30, away());
    stand.faults.add("in_progress", 10, away());
    tokio::time::sleep(Duration::from_secs(1_150)).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_that_failed_is_tried_again_the_next_day() {
    let day = Duration::from_secs(86_400);
    let stand = Stand::with(|settings| settings.tasks.cleanup_time = Span(day)).await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    // After an hour there is nothing to delete; the one a day later fails.
    tokio::time::sleep(day / 2).await;
    let away = StoreError::Unavailable("away".into());
    stand.faults.add("purge", 1, away);
    let there = || stand.store.tables().latest(&[id(1)])[0].is_some();
    tokio::time::sleep(day).await;
    assert!(there());
    tokio::time::sleep(day).await;
    assert!(!there());
}
