//! When installers begin: windows, offline agents, restarts.

use std::time::Duration;

use serde_json::json;
use wpk_api::{ConnectionStatus, Status};

use super::fleet::{ALL, Fate, Fleet, apply, definition, explain, status};
use crate::stand::{EPOCH, NEWEST, Stand};

/// A site of all, open from 22:30 to 23:30 UTC. The stories begin at 22:13:20.
const NIGHTS: &str =
    "[[site]]\nname = \"hq\"\nselect = \"group = prod\"\nwindows = [\"22:30-23:30\"]\n";
const OPENS: i64 = EPOCH - EPOCH.rem_euclid(86_400) + 22 * 3_600 + 1_800;

#[tokio::test(start_paused = true)]
async fn files_go_ahead_and_installers_begin_when_the_window_opens() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    apply(&stand, &format!("{NIGHTS}{}", definition(ALL)))
        .await
        .unwrap();
    fleet
        .until(&stand, |_, stand| {
            stand
                .transport
                .steps(crate::stand::id(1))
                .ends_with(&["sha1".into()])
        })
        .await;
    fleet.pass(&stand, 600).await;
    assert_eq!(fleet.begun, [0u32; 0]);
    assert_eq!(stand.task(1).status, Status::Pending);
    let told = status(&stand, "prod").await;
    assert_eq!(told["next"]["at"], OPENS, "{told}");
    let told = explain(&stand, "prod", 1).await;
    assert_eq!(told["attempts"][0]["staged"], true, "{told}");
    fleet.until(&stand, |fleet, _| fleet.begun.len() == 3).await;
    let task = stand.task(1).id;
    let attempt = stand.store.tables().attempts_of(&[task]).remove(0);
    let begun = attempt.unwrap().begun_at.unwrap();
    assert!((OPENS..OPENS + 10).contains(&begun), "{}", begun - OPENS);
    // Each got its file once.
    assert!((1..=3).all(|agent| stand.transport.count(crate::stand::id(agent), "open") == 1));
    fleet.until_state(&stand, "prod", "converged").await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_back_in_an_open_window_begins_within_five_seconds() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    fleet.change(&stand, 3, |info| {
        info.connection = ConnectionStatus::Disconnected
    });
    apply(&stand, &definition(ALL)).await.unwrap();
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 2)
        .await;
    let told = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(told["counts"]["unreachable"], 1, "{told}");
    fleet.pass(&stand, 3_600).await;
    fleet.change(&stand, 3, |info| info.connection = ConnectionStatus::Active);
    let took = fleet
        .until(&stand, |fleet, _| fleet.begun.contains(&3))
        .await;
    assert!(took <= Duration::from_secs(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_loses_and_repeats_nothing() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 9);
    let waves =
        "[[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nmax_concurrent = 2\nsoak = \"1m\"\n";
    apply(&stand, &definition(waves)).await.unwrap();
    fleet.until(&stand, |fleet, _| fleet.begun.len() >= 3).await;
    let stand = stand.stop().await.start().await;
    fleet.until(&stand, |fleet, _| fleet.begun.len() >= 6).await;
    let stand = stand.stop().await.start().await;
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(end["counts"]["succeeded"], 9, "{end}");
    let mut begun = fleet.begun.clone();
    begun.sort_unstable();
    assert_eq!(begun, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_start_in_the_past_and_a_wave_that_cannot_fill_its_sample_are_refused() {
    let stand = Stand::new().await;
    let _fleet = Fleet::of(&stand, 3);
    let past = definition(ALL).replace(
        "retries = 0",
        "retries = 0\nnot_before = \"2023-01-01T00:00:00Z\"",
    );
    let refused = apply(&stand, &past).await.unwrap_err();
    assert!(refused.contains("in the past"), "{refused}");
    let small = definition(
        "[[rollout.wave]]\nname = \"canary\"\nsize = 2\nmin_sample = 20\n[[rollout.wave]]\nname = \"rest\"\nsize = \"100%\"\n",
    );
    let refused = apply(&stand, &small).await.unwrap_err();
    assert!(refused.contains("min_sample"), "{refused}");
    let refused = super::fleet::ask(&stand, "rollout_status", json!({"name": "prod"}))
        .await
        .unwrap_err();
    assert!(refused.contains("no rollout prod"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_unknown_until_it_is_settled_or_has_lasted() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 2);
    fleet.fates.insert(1, Fate::Silent);
    let waves =
        "[[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nsoak = \"1m\"\nmax_failures = 1\n";
    apply(&stand, &definition(waves)).await.unwrap();
    fleet
        .until(&stand, |fleet, stand| {
            fleet.begun.contains(&1)
                && fleet.begun.contains(&1)
                && stand.task(1).status == Status::Timeout
        })
        .await;
    fleet.pass(&stand, 60).await;
    let told = explain(&stand, "prod", 1).await;
    assert_eq!(told["state"], "unknown", "{told}");
    assert_eq!(status(&stand, "prod").await["waves"][0]["gate"], "waits");
    let asked = json!({"name": "prod", "agent": 1, "succeeded": false});
    super::fleet::ask(&stand, "rollout_settle", asked)
        .await
        .unwrap();
    fleet.pass(&stand, 10).await;
    let told = explain(&stand, "prod", 1).await;
    assert_eq!(told["state"], "failed", "{told}");
    fleet.until_state(&stand, "prod", "converged").await;
}
