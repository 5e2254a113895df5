//! Whether agents run what they were sent, as their directory tells it.

use std::time::Duration;

use serde_json::json;
use wpk_api::settings::Span;
use wpk_api::{Confirmation, ConnectionStatus, Status, StoreError, TimelineStep, Version};
use wpk_testkit::memory::agent;

use crate::stand::{Parts, Stand};

const MINUTE: Duration = Duration::from_secs(60);

impl Parts {
    /// From now on the directory shows this version of an agent.
    fn shows(&self, id: u32, version: &str) {
        self.directory.put([agent(id, version)]);
    }

    /// What was seen of an agent that was not confirmed.
    fn unconfirmed(&self, id: u32) -> String {
        match self.confirmation(id) {
            Some(Confirmation::Unconfirmed(seen)) => seen,
            other => panic!("agent {id} is {other:?}"),
        }
    }

    fn confirmation(&self, id: u32) -> Option<Confirmation> {
        let found = self.store.tables().latest(&[crate::stand::id(id)]).pop();
        found.flatten().and_then(|task| task.confirmation)
    }
}

impl Stand {
    /// Agent 1 was upgraded and says that all went well.
    async fn updated() -> Self {
        let stand = Self::installing().await;
        assert_eq!(stand.word(1, 0, "Done").await, 0);
        stand
    }

    /// The words of the check in the timeline.
    fn check(&self, id: u32) -> Vec<String> {
        let timeline = self.timeline(id).into_iter();
        let checks = timeline.filter(|entry| entry.step == TimelineStep::Confirm);
        checks.filter_map(|entry| entry.detail).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_shows_what_it_was_sent_is_confirmed() {
    let stand = Stand::updated().await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    // It connects again after a while; its old version until then is no verdict.
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    stand.shows(1, "Wazuh v4.14.9");
    tokio::time::sleep(MINUTE / 6).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));
    assert_eq!(stand.check(1), ["sent v4.14.9, seen v4.14.9"]);
    assert_eq!(stand.task(1).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn an_installer_that_changed_nothing_does_not_look_like_success() {
    let stand = Stand::updated().await;
    tokio::time::sleep(9 * MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    tokio::time::sleep(2 * MINUTE).await;
    let seen = stand.unconfirmed(1);
    assert!(seen.starts_with("v4.7.0, after 60"), "{seen}");
    assert_eq!(stand.check(1), [format!("sent v4.14.9, seen {seen}")]);
    assert_eq!(
        stand.task(1).status,
        Status::Done,
        "the protocol's status stays"
    );
    // A verdict is final.
    stand.shows(1, "Wazuh v4.14.9");
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Unconfirmed(seen)));
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_said_whatever_it_was() {
    let stand = Stand::with(|settings| settings.tasks.confirm_within = Span(MINUTE)).await;
    stand.upgrade(&[1, 2, 3, 4]).await;
    for id in 1..=4 {
        stand.delivered(id).await;
    }
    for id in 1..=4 {
        stand.word(id, 0, "Done").await;
    }
    stand.shows(1, "Wazuh v4.12.0");
    let away = wpk_api::AgentInfo {
        connection: ConnectionStatus::Disconnected,
        ..agent(2, "Wazuh v4.7.0")
    };
    let mute = wpk_api::AgentInfo {
        version: None,
        ..agent(3, "")
    };
    stand.directory.put([away, mute]);
    stand.shows(4, "\u{1b}[2J\n");
    tokio::time::sleep(2 * MINUTE).await;
    for (id, words) in [
        (1, "v4.12.0"),
        (2, "v4.7.0 (disconnected)"),
        (3, "no version"),
        (4, r"the text \u{1b}[2J\n"),
    ] {
        let seen = stand.unconfirmed(id);
        assert!(seen.starts_with(&format!("{words}, after 6")), "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_away_is_no_verdict_before_the_end() {
    let stand = Stand::updated().await;
    stand.shows(1, "Wazuh v4.14.9");
    stand.directory.set_down(Some("no such socket"));
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    stand.directory.set_down(None);
    tokio::time::sleep(MINUTE / 6).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));

    let stand = Stand::updated().await;
    stand.directory.set_down(Some("no such socket"));
    tokio::time::sleep(11 * MINUTE).await;
    let seen = stand.unconfirmed(1);
    assert!(seen.contains("no such socket"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn only_what_names_its_version_is_checked() {
    let stand = Stand::new().await;
    let file = |name: &str| {
        let path = stand.home.path().join(name);
        std::fs::write(&path, [7; 1_000]).unwrap();
        path
    };
    let named = file("wazuh_agent_v4.13.1_linux_amd64.deb.wpk");
    let other = file("agent-v4.13.1.wpk");
    for (id, path) in [(1, &named), (2, &other)] {
        let wish = json!({"agents": [id], "file_path": path});
        stand.items("upgrade_custom", wish).await;
        stand.delivered(id).await;
        stand.word(id, 0, "Done").await;
    }
    stand.shows(1, "Wazuh v4.13.1");
    assert_eq!(stand.confirmation(2), Some(Confirmation::NotChecked));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));
    assert_eq!(stand.check(1), ["sent v4.13.1, seen v4.13.1"]);
    assert_eq!(stand.check(2), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_is_known_once_it_was_looked_up() {
    let stand = Stand::new().await;
    // The repository gave no answer when the request came.
    let newest = json!({"agents": [1]});
    assert_eq!(stand.codes(newest).await, [0]);
    stand.delivered(1).await;
    stand.word(1, 0, "Done").await;
    stand.shows(1, &format!("Wazuh {}", Version::new(4, 14, 9)));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_reports_and_one_that_failed_are_not_looked_at() {
    let stand = Stand::new().await;
    stand.upgrade(&[1, 2]).await;
    for id in [1, 2] {
        stand.delivered(id).await;
    }
    stand.word(1, 2, "Failed").await;
    assert_eq!(stand.confirmation(1), None);
    assert_eq!(stand.confirmation(2), None, "it runs");
}

#[tokio::test(start_paused = true)]
async fn a_check_goes_on_after_a_restart_and_has_its_time() {
    let stand = Stand::updated().await;
    tokio::time::sleep(4 * MINUTE).await;
    let parts = stand.stop().await;
    tokio::time::sleep(2 * MINUTE).await;
    let stand = parts.start().await;
    tokio::time::sleep(3 * MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    tokio::time::sleep(2 * MINUTE).await;
    let seen = stand.confirmation(1);
    assert!(
        matches!(seen, Some(Confirmation::Unconfirmed(_))),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ends_no_check() {
    let stand = Stand::updated().await;
    tokio::time::sleep(MINUTE).await;
    stand.step_clock(86_400);
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    stand.step_clock(-10 * 86_400);
    tokio::time::sleep(5 * MINUTE).await;
    let seen = stand.confirmation(1);
    assert!(
        matches!(seen, Some(Confirmation::Unconfirmed(_))),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_upgrade_ends_the_check_of_the_one_before() {
    let stand = Stand::updated().await;
    let first = stand.task(1).id;
    tokio::time::sleep(MINUTE).await;
    // The directory still shows the old version, so another may be asked for.
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.came(1, "upgrade", 2).await;
    tokio::time::sleep(MINUTE / 60).await;
    // What the agent shows now is the work of the second, as far as anybody knows.
    stand.shows(1, "Wazuh v4.14.9");
    tokio::time::sleep(MINUTE).await;
    let second = stand.task(1).id;
    assert_ne!(first, second);
    let timeline = stand.store.tables().timeline(first);
    let last = timeline.last().unwrap();
    assert_eq!(last.step, TimelineStep::Confirm);
    let words = last.detail.as_deref().unwrap();
    let next = format!("sent v4.14.9, seen v4.7.0, before task {second} began the next installer");
    assert_eq!(words, next);
    assert_eq!(stand.confirmation(1), None, "the second runs");
    stand.word(1, 0, "Done").await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_delays_a_verdict_and_loses_none() {
    let stand = Stand::updated().await;
    stand.shows(1, "Wazuh v4.14.9");
    let away = || StoreError::Unavailable("away".into());
    stand.faults.add("awaiting", 5, away());
    stand.faults.add("confirm", 5, away());
    tokio::time::sleep(MINUTE / 2).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Awaited));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stand.confirmation(1), Some(Confirmation::Confirmed));
}

/// Agents are asked for together, not one by one.
#[tokio::test(start_paused = true)]
async fn a_fleet_is_looked_up_in_one_question() {
    let stand = Stand::new().await;
    stand.upgrade(&[1, 2, 3, 4, 5]).await;
    for id in 1..=5 {
        stand.delivered(id).await;
        stand.word(id, 0, "Done").await;
    }
    let before = stand.directory.asked();
    tokio::time::sleep(MINUTE).await;
    let looks = stand.directory.asked() - before;
    assert!((11..=13).contains(&looks), "{looks} questions in a minute");
}
