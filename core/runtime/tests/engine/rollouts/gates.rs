//! Waves, gates and halts.

use std::time::Duration;

use serde_json::json;
use wpk_api::Version;

use super::fleet::{ALL, Fate, Fleet, apply, ask, definition, explain, status};
use crate::stand::{MANAGER, NEWEST, Stand, id};

const TWO_WAVES: &str = "[[rollout.wave]]\nname = \"canary\"\nsize = 2\nmin_sample = 2\nsoak = \"20m\"\n\
                         [[rollout.wave]]\nname = \"rest\"\nsize = \"100%\"\nsoak = \"1m\"\n";

#[tokio::test(start_paused = true)]
async fn a_canary_goes_first_and_the_rest_follows_its_soak() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 8);
    let applied = apply(&stand, &definition(TWO_WAVES)).await.unwrap();
    assert_eq!(applied[0]["name"], "prod");
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 2)
        .await;
    let canary = fleet.running(NEWEST);
    // Its soak is twenty minutes: nobody else begins meanwhile.
    fleet.pass(&stand, 1_000).await;
    assert_eq!(fleet.begun.len(), 2, "{:?}", fleet.begun);
    let told = status(&stand, "prod").await;
    assert_eq!(told["waves"][0]["counts"]["soaking"], 2, "{told}");
    assert_eq!(told["waves"][1]["gate"], "not_open", "{told}");
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(fleet.running(NEWEST).len(), 8);
    assert_eq!(end["counts"]["succeeded"], 8, "{end}");
    assert!(canary.iter().all(|agent| fleet.begun[..2].contains(agent)));
    // Who was begun was begun once, and who is not in it never.
    let mut begun = fleet.begun.clone();
    begun.sort_unstable();
    assert_eq!(begun, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        stand.transport.begun(id(9)) + stand.transport.begun(id(10)),
        0
    );
    // One that joins goes last, and the rollout opens again for it.
    let history = ask(&stand, "rollout_history", json!({"name": "prod"}))
        .await
        .unwrap();
    let what: Vec<&str> = history
        .iter()
        .filter_map(|one| one["what"].as_str())
        .collect();
    assert_eq!(what, ["passed", "opened", "passed", "opened", "applied"]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_goes_last_and_opens_a_rollout_again() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    apply(&stand, &definition(ALL)).await.unwrap();
    fleet.until_state(&stand, "prod", "converged").await;
    fleet.agents.insert(20, {
        let mut info = wpk_testkit::memory::agent(20, "Wazuh v4.7.0");
        info.group = Some("prod".into());
        info
    });
    fleet.change(&stand, 20, |_| {});
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 4)
        .await;
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(end["counts"]["succeeded"], 4, "{end}");
}

async fn broken_by_a_bad_release(max_failures: usize, fate: Fate) -> usize {
    let stand = Stand::with(|settings| {
        settings.delivery.max_concurrent = 64.into();
    })
    .await;
    let mut fleet = Fleet::of(&stand, 40);
    fleet.usual = fate;
    let waves = format!(
        "[[rollout.wave]]\nname = \"canary\"\nsize = 20\nmin_sample = 20\nstrict = true\n\
         soak = \"1m\"\nmax_failures = {max_failures}\nunknown_after = \"10m\"\n\
         [[rollout.wave]]\nname = \"rest\"\nsize = \"100%\"\n"
    );
    apply(&stand, &definition(&waves)).await.unwrap();
    let told = fleet.until_state(&stand, "prod", "halted").await;
    assert!(
        told["reason"].as_str().unwrap().contains("canary failed"),
        "{told}"
    );
    fleet.pass(&stand, 900).await;
    assert_eq!(fleet.running(NEWEST).len(), 0);
    fleet.begun.len()
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_breaks_no_more_of_a_strict_canary_than_may_fail_plus_one() {
    for fate in [Fate::Fails, Fate::Lies, Fate::Silent] {
        assert_eq!(broken_by_a_bad_release(0, fate).await, 1, "{fate:?}");
        assert_eq!(broken_by_a_bad_release(1, fate).await, 2, "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deciding_report_halts_within_a_second_and_nothing_begins_after() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 30);
    fleet.fates.insert(7, Fate::Fails);
    let few = ALL.replace("soak", "max_concurrent = 4\nsoak");
    apply(&stand, &definition(&few)).await.unwrap();
    fleet
        .until(&stand, |fleet, _| fleet.begun.contains(&7))
        .await;
    fleet.pass(&stand, 5).await;
    let reported = tokio::time::Instant::now();
    let told = loop {
        let told = status(&stand, "prod").await;
        if told["state"] == "halted" {
            break told;
        }
        fleet.step(&stand).await;
    };
    assert!(
        reported.elapsed() <= Duration::from_secs(1),
        "{:?}",
        reported.elapsed()
    );
    let begun = fleet.begun.len();
    assert!(begun < 30, "some had not begun: {begun}");
    fleet.pass(&stand, 900).await;
    assert_eq!(fleet.begun.len(), begun);
    assert_eq!(told["failures"][0]["agent"], 7, "{told}");
    let waits = explain(
        &stand,
        "prod",
        *(1..=30)
            .collect::<Vec<u32>>()
            .iter()
            .find(|one| !fleet.begun.contains(one))
            .unwrap(),
    )
    .await;
    assert_eq!(
        (waits["state"].as_str(), waits["reason"].as_str()),
        (Some("waiting"), Some("the rollout is halted")),
        "{waits}"
    );
}

#[tokio::test(start_paused = true)]
async fn agents_take_the_hops_that_floors_ask_for() {
    let five = Version::new(5, 1, 0);
    let stand = Stand::with(|settings| settings.node.version = Some(five)).await;
    let floor = Version::new(4, 14, 0);
    stand.provider.publish(five, vec![5; 10_000]);
    stand.provider.publish(floor, vec![4; 10_000]);
    let mut fleet = Fleet::of(&stand, 2);
    fleet.change(&stand, 2, |info| {
        info.version = Some(format!("Wazuh {MANAGER}"))
    });
    let text = definition(ALL).replace(&NEWEST.to_string(), &five.to_string());
    apply(&stand, &text).await.unwrap();
    let hops = explain(&stand, "prod", 1).await;
    assert_eq!(hops["hops"], json!(["v4.14.0", "v5.1.0"]), "{hops}");
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(end["counts"]["succeeded"], 2, "{end}");
    assert_eq!(fleet.running(five).len(), 2);
    let mut begun = fleet.begun.clone();
    begun.sort_unstable();
    assert_eq!(begun, [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_agent_is_tried_again_as_often_as_it_may() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    fleet.fates.insert(2, Fate::Fails);
    let text = definition(ALL).replace("retries = 0", "retries = 2\nretry_pause = \"10m\"");
    let text = text.replace("soak = \"10s\"", "soak = \"10s\"\nmax_failures = 1");
    apply(&stand, &text).await.unwrap();
    fleet
        .until(&stand, |fleet, _| {
            fleet.begun.iter().filter(|one| **one == 2).count() == 3
        })
        .await;
    fleet.pass(&stand, 10_800).await;
    assert_eq!(fleet.begun.iter().filter(|one| **one == 2).count(), 3);
    let told = explain(&stand, "prod", 2).await;
    assert_eq!(told["state"], "failed", "{told}");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 3, "{told}");
    // An operator asks for another try, and it goes well.
    fleet.fates.clear();
    let asked = json!({"name": "prod", "failed": true});
    let items = ask(&stand, "rollout_retry", asked).await.unwrap();
    assert_eq!(items[0]["changed"], 1, "{items:?}");
    fleet
        .until(&stand, |fleet, _| fleet.running(NEWEST).len() == 3)
        .await;
    fleet.until_state(&stand, "prod", "converged").await;
}
