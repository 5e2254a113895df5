//! Deliveries: what becomes of a task, in each way an attempt can end.

use std::time::Duration;

use serde_json::json;
use wpk_api::{Cancel, ProviderError, Status, StoreError, TimelineStep, Version};
use wpk_testkit::memory::{MemoryTransport, Say, Trouble, agent};

use crate::stand::{NEWEST, Stand, id};

#[tokio::test(start_paused = true)]
async fn a_healthy_agent_gets_the_file_and_its_word_ends_the_task() {
    let stand = Stand::new().await;
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
    let steps = ["lock_restart", "open", "write", "close", "sha1", "upgrade"];
    assert_eq!(stand.steps(1), steps);
    assert_eq!(stand.task(1).status, Status::InProgress);
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    let task = stand.until(1, Status::Done).await;
    assert_eq!(task.error_msg, None);
    let steps: Vec<_> = stand.timeline(1).iter().map(|entry| entry.step).collect();
    use TimelineStep::{
        Claimed, Close, Created, Download, LockRestart, Open, Report, Resolve, Sha1, Upgrade, Write,
    };
    let began = [Created, Claimed, Resolve, Download];
    let sent = [LockRestart, Open, Write, Close, Sha1];
    assert_eq!(steps, [&began[..], &sent, &[Upgrade, Report]].concat());
}

#[tokio::test(start_paused = true)]
async fn an_old_agent_gets_plain_text() {
    let stand = Stand::new().await;
    assert_eq!(
        stand
            .codes(json!({"agents": [10], "force_upgrade": true}))
            .await,
        [0]
    );
    stand.delivered(10).await;
    assert_eq!(stand.transport.content(id(10)), vec![7; 100_000]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_takes_json_gets_it_whatever_the_version() {
    let stand = Stand::new().await;
    stand.transport.takes_json_of(id(10));
    stand.provider.publish(Version::new(4, 0, 4), vec![1; 500]);
    let wish = json!({"agents": [10], "version": "v4.0.4", "force_upgrade": true});
    assert_eq!(stand.codes(wish).await, [0]);
    stand.delivered(10).await;
    let forms = stand.transport.forms(id(10));
    // `com lock_restart -1` is the same in both forms.
    assert_eq!(forms.first().map(String::as_str), Some("com"));
    assert!(forms[1..].iter().all(|form| form == "upgrade"), "{forms:?}");
    // Its word is awaited, too.
    assert_eq!(stand.task(10).status, Status::InProgress);
    assert_eq!(stand.word(10, 0, "Done").await, 0);
    stand.until(10, Status::Done).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_reports_is_legacy() {
    let stand = Stand::new().await;
    stand.provider.publish(Version::new(4, 0, 4), vec![1; 500]);
    let wish = json!({"agents": [1], "version": "v4.0.4", "force_upgrade": true});
    assert_eq!(stand.codes(wish).await, [0]);
    stand.until(1, Status::Legacy).await;
    assert_eq!(stand.transport.begun(id(1)), 1);
}

/// What the agent may have heard is no refusal.
async fn silent(say: Say) -> Stand {
    let stand = Stand::new().await;
    stand.rule(1, "upgrade", say);
    stand.upgrade(&[1]).await;
    stand.came(1, "upgrade", 1).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    let timeline = stand.timeline(1);
    let noted = timeline.last().unwrap();
    assert!(
        noted.failure.is_some(),
        "the silence is written down: {timeline:?}"
    );
    stand
}

#[tokio::test(start_paused = true)]
async fn a_time_out_of_the_last_command_waits_for_the_word() {
    let stand = silent(Say::TimeOut).await;
    assert_eq!(stand.word(1, 0, "Done").await, 0);
    stand.until(1, Status::Done).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_after_the_last_command_waits_for_the_word() {
    let stand = silent(Say::Close).await;
    assert_eq!(stand.word(1, 2, "Failed").await, 0);
    let task = stand.until(1, Status::Failed).await;
    let text = "Upgrade procedure exited with error code";
    assert_eq!(task.error_msg.as_deref(), Some(text));
}

#[tokio::test(start_paused = true)]
async fn the_channels_own_silence_waits_for_the_word() {
    for words in ["err Response timeout", "err Maximum attempts exceeded"] {
        let stand = silent(Say::Refuse(words)).await;
        stand.until(1, Status::Timeout).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_installer_that_says_no_at_once_is_a_failure() {
    let stand = Stand::new().await;
    stand.rule(
        1,
        "upgrade",
        Say::Words(r#"{"error":0,"message":"7","data":[]}"#),
    );
    stand.upgrade(&[1]).await;
    let task = stand.until(1, Status::Failed).await;
    assert_eq!(
        task.error_msg.as_deref(),
        Some("Send upgrade command error")
    );
    let cause = stand.timeline(1).pop().unwrap().failure.unwrap();
    assert!(cause.said.contains('7'), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn open_is_tried_ten_times() {
    let stand = Stand::new().await;
    let busy = Say::Words(r#"{"error":6,"message":"busy","data":[]}"#);
    stand.rule_times(1, "open", busy.clone(), 9);
    stand.rule_times(2, "open", busy, 10);
    stand.upgrade(&[1, 2]).await;
    stand.delivered(1).await;
    assert_eq!(stand.transport.count(id(1), "open"), 10);
    stand.until(2, Status::Failed).await;
    assert_eq!(stand.transport.count(id(2), "open"), 10);
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_installer_is_tried_again() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 3).await;
    let bad = Say::Words(r#"{"error":10,"message":"Cannot write file","data":[]}"#);
    stand.rule_times(1, "write", bad, 2);
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    assert_eq!(stand.transport.count(id(1), "lock_restart"), 3);
    let failed = stand
        .timeline(1)
        .iter()
        .filter(|entry| entry.failure.is_some())
        .count();
    assert_eq!(failed, 2, "each attempt has its cause");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_installer_is_not_tried_again() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 3).await;
    stand.rule(
        1,
        "upgrade",
        Say::Words(r#"{"error":13,"message":"x","data":[]}"#),
    );
    stand.upgrade(&[1]).await;
    stand.until(1, Status::Failed).await;
    assert_eq!(stand.transport.count(id(1), "upgrade"), 1);
    assert_eq!(stand.transport.count(id(1), "lock_restart"), 1);
}

#[tokio::test(start_paused = true)]
async fn another_digest_at_the_agent_is_a_failure() {
    let stand = Stand::new().await;
    stand.rule(
        1,
        "sha1",
        Say::Words(r#"{"error":0,"message":"da39","data":[]}"#),
    );
    stand.upgrade(&[1]).await;
    let task = stand.until(1, Status::Failed).await;
    assert_eq!(task.error_msg.as_deref(), Some("Send verify sha1 error"));
    assert_eq!(stand.transport.begun(id(1)), 0);
}

async fn repository_fails(trouble: Trouble, text: &str) {
    let stand = Stand::new().await;
    stand.upgrade(&[2]).await;
    stand.delivered(2).await;
    stand
        .provider
        .publish(Version::new(4, 14, 8), vec![9; 1000]);
    stand.provider.set_trouble(trouble);
    stand
        .codes(json!({"agents": [1], "version": "v4.14.8"}))
        .await;
    let task = stand.until(1, Status::Failed).await;
    assert_eq!(task.error_msg.as_deref(), Some(text));
    assert_eq!(stand.steps(1), [""; 0], "the agent heard nothing");
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_is_away_has_its_text() {
    let error = ProviderError::NotReachable("no route".into());
    repository_fails(Trouble::Resolve(error), "The repository is not reachable").await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_listed_has_its_text() {
    let error = ProviderError::NotListed("v4.14.8".into());
    let text = "The version of the WPK does not exist in the repository";
    repository_fails(Trouble::Resolve(error), text).await;
}

#[tokio::test(start_paused = true)]
async fn a_platform_without_packages_has_its_text() {
    let error = ProviderError::NoPackage("vms".into());
    let text = "The WPK for this platform is not available";
    repository_fails(Trouble::Resolve(error), text).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_had_has_its_text() {
    let error = ProviderError::NoFile("404".into());
    repository_fails(Trouble::Fetch(error), "The WPK file does not exist").await;
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_has_its_text() {
    repository_fails(Trouble::BreaksOff, "The WPK file does not exist").await;
}

#[tokio::test(start_paused = true)]
async fn other_bytes_than_listed_have_their_text() {
    let text = "The WPK sha1 of the file is not valid";
    repository_fails(Trouble::OtherBytes, text).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_not_sent() {
    let stand = Stand::new().await;
    stand.provider.publish(NEWEST, Vec::new());
    stand.upgrade(&[1]).await;
    let task = stand.until(1, Status::Failed).await;
    assert_eq!(task.error_msg.as_deref(), Some("Send write file error"));
}

#[tokio::test(start_paused = true)]
async fn a_custom_file_goes_with_its_installer() {
    let stand = Stand::new().await;
    let path = stand.home.path().join("my package.wpk");
    std::fs::write(&path, [5; 3000]).unwrap();
    let wish = json!({"agents": [1], "file_path": path, "installer": "go.sh"});
    assert_eq!(stand.items("upgrade_custom", wish).await[0]["error"], 0);
    stand.delivered(1).await;
    assert_eq!(stand.transport.content(id(1)), vec![5; 3000]);
}

#[tokio::test(start_paused = true)]
async fn old_agents_take_no_names_with_spaces() {
    let stand = Stand::new().await;
    for (file, installer, text) in [
        ("my package.wpk", "go.sh", "Send open file error"),
        ("package.wpk", "go now.sh", "Send upgrade command error"),
    ] {
        let path = stand.home.path().join(file);
        std::fs::write(&path, [5; 3000]).unwrap();
        let wish = json!({"agents": [10], "file_path": path, "installer": installer});
        stand.items("upgrade_custom", wish).await;
        let task = stand.until(10, Status::Failed).await;
        assert_eq!(task.error_msg.as_deref(), Some(text));
    }
    assert_eq!(stand.steps(10), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn chunks_are_as_long_as_the_settings_say() {
    for (chunk, writes) in [(64, 1563), (32_768, 4), (60_000, 3)] {
        let stand = Stand::with(|settings| {
            settings.delivery.chunk_size = Some(wpk_config::ChunkSize::Bytes(chunk));
        })
        .await;
        stand.upgrade(&[1]).await;
        stand.delivered(1).await;
        assert_eq!(stand.transport.count(id(1), "write"), writes, "{chunk}");
        assert!(stand.transport.longest(id(1)) <= 65_536 - 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_carries_less_gets_less() {
    let transport = MemoryTransport::carrying(8_192);
    let stand = Stand::over(transport, |settings| {
        settings.delivery.chunk_size = Some(wpk_config::ChunkSize::Auto);
    })
    .await;
    stand.upgrade(&[1, 10]).await;
    stand.delivered(1).await;
    assert!(stand.transport.longest(id(1)) <= 8_192);
    assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ended_meanwhile_runs_no_installer() {
    let stand = Stand::new().await;
    stand.rule(1, "close", Say::Hang);
    stand.upgrade(&[1]).await;
    stand.came(1, "close", 1).await;
    stand.store.tables().cancel("node01", Cancel::NotBegun, 0);
    stand.transport.release();
    stand.came(1, "sha1", 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stand.transport.count(id(1), "upgrade"), 0);
    assert_eq!(stand.task(1).status, Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn no_installer_is_begun_before_that_is_written_down() {
    let stand = Stand::new().await;
    let full = StoreError::Full("no space".into());
    stand.faults.add("begin_installer", 3, full);
    stand.upgrade(&[1]).await;
    stand.came(1, "sha1", 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(stand.transport.count(id(1), "upgrade"), 0);
    stand.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_is_written_down_as_soon_as_the_store_can() {
    let stand = Stand::new().await;
    let away = StoreError::Unavailable("away".into());
    stand.faults.add("transition", 5, away);
    stand.rule(1, "open", Say::NotConnected);
    stand.upgrade(&[1]).await;
    stand.came(1, "open", 10).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stand.task(1).status, Status::InProgress);
    stand.until(1, Status::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeline_that_cannot_be_written_holds_nothing_up() {
    let stand = Stand::with(|settings| settings.delivery.attempts = 2).await;
    let full = StoreError::Full("no space".into());
    stand.faults.add("note", 99, full);
    stand.rule_times(1, "close", Say::Close, 1);
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
}

#[tokio::test(start_paused = true)]
async fn one_file_is_downloaded_once_for_all() {
    let stand = Stand::new().await;
    stand.provider.set_trouble(Trouble::Slow);
    stand.upgrade(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    stand.provider.release();
    for agent in 1..=9 {
        stand.delivered(agent).await;
    }
    assert_eq!(stand.provider.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_kept_to() {
    let stand = Stand::with(|settings| {
        settings.delivery.max_bandwidth = Some(wpk_api::settings::ByteSize(10_000));
    })
    .await;
    stand.directory.put([agent(1, "Wazuh v4.7.0")]);
    let start = tokio::time::Instant::now();
    stand.upgrade(&[1]).await;
    stand.delivered(1).await;
    let took = start.elapsed().as_secs();
    assert!((6..=14).contains(&took), "100,000 bytes took {took} s");
}
