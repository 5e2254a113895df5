//! Tasks that are left as they are: the daemon stops, the task is somebody
//! else's, the agent was told and its answer was not heard. And what a task shows
//! while it is waited for.

use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{Status, StoreError, TimelineStep};
use wpk_testkit::memory::Say;

use crate::stand::{EPOCH, Stand, id};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_a_stop_cuts_short_is_left_at_once() {
    for step in ["lock_restart", "open", "write", "close", "sha1"] {
        let stand = Stand::new().await;
        stand.rule(1, step, Say::Hang);
        stand.upgrade(&[1]).await;
        stand.came(1, step, 1).await;
        let (told, task) = (Instant::now(), stand.task(1).id);
        let parts = stand.stop().await;
        assert_eq!(told.elapsed(), seconds(0), "nobody waits for {step}");
        let tables = parts.store.tables();
        let left = tables.latest(&[id(1)]).pop().flatten().unwrap();
        assert_eq!(left.status, Status::InProgress, "{step}");
        let steps = tables.timeline(task);
        assert!(
            steps.iter().all(|entry| entry.failure.is_none()),
            "{steps:?}"
        );
        assert_eq!(parts.transport.count(id(1), "upgrade"), 0);
    }
}

/// What fails because of a stop is no failure of the upgrade, also where it is
/// noticed first.
#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_with_the_daemon_fails_nothing() {
    for attempts in [1, 3] {
        let stand = Stand::with(|settings| settings.delivery.attempts = attempts).await;
        stand.rule_times(1, "close", Say::Stop, 1);
        stand.upgrade(&[1]).await;
        stand.came(1, "close", 1).await;
        let task = stand.task(1).id;
        let parts = stand.stop().await;
        let steps = parts.store.tables().timeline(task);
        assert!(steps.iter().all(|entry| entry.failure.is_none()));
        let stand = parts.start().await;
        stand.delivered(1).await;
        assert_eq!(stand.task(1).id, task);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_pause_between_two_attempts_leaves_the_task_too() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 2).await;
    stand.rule_times(1, "close", Say::Close, 1);
    stand.upgrade(&[1]).await;
    stand.came(1, "close", 1).await;
    tokio::time::sleep(seconds(1)).await;
    let told = Instant::now();
    let parts = stand.stop().await;
    assert_eq!(told.elapsed(), seconds(0));
    assert_eq!(parts.transport.count(id(1), "lock_restart"), 1);
    let stand = parts.start().await;
    stand.delivered(1).await;
}

/// A stop takes the connections with it: we hung up, not the agent.
#[tokio::test(start_paused = true)]
async fn an_answer_that_a_stop_swallows_is_no_silence_of_the_agent() {
    let stand = Stand::new().await;
    // The transport gives up after 75 s, the engine waits for 20 s when it stops.
    stand.rule_times(1, "upgrade", Say::TimeOut, 1);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    tokio::time::sleep(seconds(60)).await;
    let task = stand.task(1).id;
    let told = Instant::now();
    let parts = stand.stop().await;
    assert_eq!(told.elapsed(), seconds(15));
    let steps = parts.store.tables().timeline(task);
    assert!(
        steps.iter().all(|entry| entry.failure.is_none()),
        "{steps:?}"
    );
    let stand = parts.start().await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    assert_eq!(stand.transport.count(id(1), "upgrade"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever_for_an_installer() {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    let told = Instant::now();
    let parts = stand.stop().await;
    assert_eq!(told.elapsed(), seconds(20));
    let left = parts.store.tables().latest(&[id(1)]).pop().flatten();
    assert_eq!(left.unwrap().status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_store_is_away_leaves_the_task_to_the_next_start() {
    let stand = Stand::new().await;
    let away = StoreError::Unavailable("away".into());
    // Pauses of 0.5, 1, 2, 4 and 8 seconds.
    stand.faults.add("begin_installer", 5, away);
    stand.upgrade(&[1]).await;
    stand.came(1, "sha1", 1).await;
    tokio::time::sleep(seconds(3)).await;
    let parts = stand.stop().await;
    assert_eq!(parts.transport.count(id(1), "upgrade"), 0);
    let stand = parts.start().await;
    stand.delivered(1).await;
}

/// The command did not reach the agent: it runs nothing, and that is known.
#[tokio::test(start_paused = true)]
async fn a_last_command_that_was_not_delivered_fails_the_upgrade_at_once() {
    for say in [
        Say::NotConnected,
        Say::Unavailable,
        Say::Refuse("err Cannot send request"),
    ] {
        let stand = Stand::with(|settings| settings.delivery.attempts = 5).await;
        stand.rule(1, "upgrade", say.clone());
        stand.upgrade(&[1]).await;
        let task = stand.until(1, Status::Failed).await;
        let text = "Send upgrade command error";
        assert_eq!(task.error_msg.as_deref(), Some(text), "{say:?}");
        tokio::time::sleep(seconds(60)).await;
        assert_eq!(stand.transport.count(id(1), "upgrade"), 1, "{say:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_for_good_times_out_and_is_not_asked_again() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 5).await;
    stand.rule(1, "upgrade", Say::Close);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    let silent = Instant::now();
    stand.until(1, Status::Timeout).await;
    let took = silent.elapsed();
    assert!((seconds(900)..=seconds(960)).contains(&took), "{took:?}");
    assert_eq!(stand.transport.count(id(1), "upgrade"), 1);
}

/// The time-out counts from the agent's agreement.
#[tokio::test(start_paused = true)]
async fn a_task_is_touched_when_the_agent_agrees() {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", Say::After(seconds(20)));
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    assert_eq!(stand.task(1).updated, Some(EPOCH));
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(stand.task(1).updated, Some(EPOCH + 20));
}

/// The agent may be faster than its answer to `upgrade`.
#[tokio::test(start_paused = true)]
async fn a_word_that_overtakes_the_answer_counts() {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    stand.transport.release();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_that_failed_is_in_the_timeline() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 3).await;
    stand.rule_times(1, "write", Say::Close, 1);
    stand.rule_times(1, "sha1", Say::Close, 1);
    let asked = Instant::now();
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    assert_eq!(asked.elapsed(), seconds(4), "a pause of 2 s before each");
    let steps: Vec<_> = stand.timeline(1).iter().map(|entry| entry.step).collect();
    use TimelineStep::{
        Claimed, Close, Created, Download, LockRestart, Open, Resolve, Sha1, Upgrade, Write,
    };
    let attempt = [Resolve, Download, LockRestart, Open];
    let attempts = [
        &[Created, Claimed][..],
        &attempt,
        &[Write],
        &attempt,
        &[Write, Close, Sha1],
        &attempt,
        &[Write, Close, Sha1, Upgrade],
    ];
    assert_eq!(steps, attempts.concat());
    assert_eq!(stand.transport.count(id(1), "lock_restart"), 3);
}
