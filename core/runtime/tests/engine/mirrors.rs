//! Several providers of releases, one behind the other.

use std::sync::Arc;

use serde_json::json;
use wpk_api::{ProviderError, Status};
use wpk_testkit::memory::{MemoryProvider, Trouble};

use crate::stand::{NEWEST, Stand, id};

/// A stand whose only provider has another one behind it, which has the release.
async fn with_mirror() -> (Stand, Arc<MemoryProvider>) {
    let stand = Stand::new().await;
    let second = MemoryProvider::default();
    second.publish(NEWEST, vec![7; 100_000]);
    let second = Arc::new(second);
    let providers = vec![stand.provider.clone() as _, second.clone() as _];
    stand.control.set_providers(providers);
    (stand, second)
}

#[tokio::test(start_paused = true)]
async fn the_second_serves_what_the_first_does_not() {
    for trouble in [
        Trouble::Resolve(ProviderError::NotReachable("it is down".into())),
        Trouble::Resolve(ProviderError::NotListed("it is old".into())),
        Trouble::Fetch(ProviderError::NoFile("HTTP 404".into())),
        Trouble::BreaksOff,
        Trouble::OtherBytes,
    ] {
        let (stand, second) = with_mirror().await;
        stand.provider.set_trouble(trouble.clone());
        assert_eq!(stand.upgrade(&[1]).await, [0], "{trouble:?}");
        stand.delivered(1).await;
        assert_eq!(stand.transport.content(id(1)), vec![7; 100_000]);
        assert_eq!(second.fetched(), 1, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_is_left_alone_while_the_first_serves() {
    let (stand, second) = with_mirror().await;
    assert_eq!(stand.upgrade(&[1]).await, [0]);
    stand.delivered(1).await;
    assert_eq!((second.resolved(), second.fetched()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_none_has_fails_in_the_words_of_all() {
    let (stand, second) = with_mirror().await;
    let down = ProviderError::NotReachable("the first is down".into());
    let old = ProviderError::NotListed("the second is old".into());
    stand.provider.set_trouble(Trouble::Resolve(down));
    second.set_trouble(Trouble::Resolve(old));
    let version = json!({"agents": [1], "version": NEWEST.to_string()});
    assert_eq!(stand.codes(version).await, [0]);
    let task = stand.until(1, Status::Failed).await;
    let text = "The version of the WPK does not exist in the repository";
    assert_eq!(task.error_msg.as_deref(), Some(text));
    let told = format!("{:?}", stand.timeline(1));
    assert!(
        told.contains("the first is down; the second is old"),
        "{told}"
    );
}

/// All of them would ask the same place.
#[tokio::test(start_paused = true)]
async fn a_named_repository_is_asked_once() {
    let (stand, second) = with_mirror().await;
    let old = ProviderError::NotListed("it is old".into());
    stand.provider.set_trouble(Trouble::Resolve(old));
    let named = json!({"agents": [1], "version": NEWEST.to_string(), "wpk_repo": "r.local"});
    assert_eq!(stand.codes(named).await, [0]);
    stand.until(1, Status::Failed).await;
    assert_eq!(second.resolved(), 0);
}
