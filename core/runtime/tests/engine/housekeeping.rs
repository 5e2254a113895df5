//! Time-outs and clean-up, with a clock that somebody sets.

use std::time::Duration;

use wpk_api::Status;
use wpk_testkit::memory::Say;

use crate::stand::Stand;

const MINUTE: Duration = Duration::from_secs(60);

async fn delivered() -> Stand {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    stand
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_word_times_out_after_its_time() {
    let stand = delivered().await;
    tokio::time::sleep(14 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
    assert_eq!(stand.upgrade(&[1]).await, [0], "the agent is free again");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_forward_times_nothing_out() {
    let stand = delivered().await;
    tokio::time::sleep(MINUTE).await;
    stand.step_clock(3_600);
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    tokio::time::sleep(6 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_back_keeps_nobody_waiting() {
    let stand = delivered().await;
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
    let parts = delivered().await.stop().await;
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
    let parts = delivered().await.stop().await;
    let stand = parts.start().await;
    stand.step_clock(-86_400);
    let parts = stand.stop().await;
    let stand = parts.start().await;
    tokio::time::sleep(16 * MINUTE).await;
    assert_eq!(stand.task(1).status, Status::Timeout);
}

#[tokio::test(start_paused = true)]
async fn only_what_has_ended_is_deleted() {
    let stand = Stand::with(|settings| {
        settings.tasks.cleanup_time = wpk_api::settings::Span(60 * MINUTE);
        settings.delivery.max_concurrent = 1;
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
