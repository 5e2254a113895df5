//! Where files come from: digests that releases are pinned to, repositories that are down.

use serde_json::json;
use sha2::{Digest, Sha256};
use wpk_api::{Digests, ProviderError, Status};
use wpk_config::ReleaseSettings;
use wpk_testkit::memory::Trouble;

use super::fleet::{ALL, Fleet, apply, ask, definition, explain, status};
use crate::stand::{NEWEST, Stand, id};

const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The digest of what the stand's provider publishes.
fn published() -> String {
    let digest: [u8; 32] = Sha256::digest(vec![7u8; 100_000]).into();
    wpk_api::Sha256(digest).to_string()
}

fn pinned_to(digests: &[&str]) -> ReleaseSettings {
    ReleaseSettings {
        version: NEWEST,
        floors: Vec::new(),
        sha256: Digests(digests.iter().map(|text| text.parse().unwrap()).collect()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_its_release_is_not_pinned_to_is_never_sent() {
    let stand = Stand::with(|settings| settings.releases = vec![pinned_to(&[OTHER])]).await;
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    let task = stand.until(1, Status::Failed).await;
    assert_eq!(stand.steps(1), Vec::<String>::new(), "nothing was sent");
    let cause = task.error_msg.unwrap();
    for part in [
        "is not a file that is listed of release v4.14.9",
        &published(),
        "in the settings",
        "correct `sha256`",
    ] {
        assert!(cause.contains(part), "{part}: {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_among_the_digests_of_its_release_is_sent() {
    let pinned = pinned_to(&[OTHER, &published()]);
    let stand = Stand::with(|settings| settings.releases = vec![pinned]).await;
    assert_eq!(stand.upgrade(&[1, 2]).await, [0, 0]);
    stand.delivered(1).await;
    stand.delivered(2).await;
    let listed = ask(&stand, "release_list", json!({})).await.unwrap();
    assert_eq!(listed[0]["sha256"], json!([OTHER, published()]));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_waits_for_the_listed_file_and_blames_no_agent() {
    let stand = Stand::new().await;
    let mut fleet = Fleet::of(&stand, 3);
    let pinned = |digest: &str| {
        let release = format!("[[release]]\nversion = \"{NEWEST}\"\nsha256 = \"{digest}\"\n");
        release + &definition(ALL)
    };
    apply(&stand, &pinned(OTHER)).await.unwrap();
    // Nobody may fail, and no try is left after one.
    fleet.pass(&stand, 3 * 3_600).await;
    let told = status(&stand, "prod").await;
    assert_eq!(told["state"], "running", "{told}");
    assert_eq!(told["counts"]["waiting"], 3, "{told}");
    assert_eq!(fleet.begun, Vec::<u32>::new());
    let waits = explain(&stand, "prod", 1).await;
    let why = waits["reason"].as_str().unwrap();
    assert!(why.contains("the rollout definition applied last"), "{why}");
    // A hand's upgrade of this version is not sent either.
    stand.until(1, Status::Failed).await;
    apply(&stand, &pinned(&published())).await.unwrap();
    let end = fleet.until_state(&stand, "prod", "converged").await;
    assert_eq!(end["counts"]["succeeded"], 3, "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_is_down_is_no_agents_failure() {
    for trouble in [
        Trouble::Resolve(ProviderError::NotReachable("it is down".into())),
        Trouble::Resolve(ProviderError::NotListed("it is old".into())),
        Trouble::Fetch(ProviderError::NoFile("HTTP 404".into())),
        Trouble::OtherBytes,
    ] {
        let stand = Stand::new().await;
        stand.provider.set_trouble(trouble.clone());
        let mut fleet = Fleet::of(&stand, 3);
        apply(&stand, &definition(ALL)).await.unwrap();
        fleet.pass(&stand, 4 * 3_600).await;
        let told = status(&stand, "prod").await;
        assert_eq!(told["state"], "running", "{trouble:?}: {told}");
        assert_eq!(told["counts"]["failed"], 0, "{trouble:?}: {told}");
        // It is not tried all the time.
        let asked = stand.provider.resolved();
        assert!(asked < 60, "{trouble:?}: {asked}");
        stand.provider.set_trouble(Trouble::None);
        let end = fleet.until_state(&stand, "prod", "converged").await;
        assert_eq!(end["counts"]["succeeded"], 3, "{trouble:?}: {end}");
        assert!((1..=3).all(|agent| stand.transport.begun(id(agent)) == 1));
    }
}
