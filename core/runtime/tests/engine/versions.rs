//! `upgrade_versions`: which versions there are.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{ProviderError, Version};
use wpk_testkit::memory::{MemoryProvider, Trouble};

use crate::stand::Stand;

async fn told(stand: &Stand) -> (Vec<String>, Option<Value>) {
    let mut items = stand.items("upgrade_versions", json!({})).await;
    let incomplete = match items.last() {
        Some(last) if last.get("incomplete").is_some() => items.pop(),
        _ => None,
    };
    let version = |item: &Value| item["version"].as_str().unwrap().to_owned();
    let versions = items.iter().map(version).collect();
    (versions, incomplete.map(|item| item["incomplete"].clone()))
}

#[tokio::test(start_paused = true)]
async fn what_the_providers_have_is_told_newest_first() {
    let stand = Stand::new().await;
    stand.provider.publish(Version::new(4, 9, 2), "old");
    stand.provider.publish(Version::new(4, 14, 10), "newer");
    let (versions, incomplete) = told(&stand).await;
    assert_eq!(versions[..2], ["v4.14.10", "v4.14.9"], "{versions:?}");
    assert_eq!(versions.last().unwrap(), "v4.9.2");
    assert_eq!(incomplete, None);
}

/// Whoever presses a key asks often, and a repository is asked now and then.
#[tokio::test(start_paused = true)]
async fn an_answer_serves_for_a_while_or_until_others_provide() {
    let stand = Stand::new().await;
    for _ in 0..100 {
        told(&stand).await;
    }
    assert_eq!(stand.provider.listed(), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    told(&stand).await;
    assert_eq!(stand.provider.listed(), 2);
    let other = Arc::new(MemoryProvider::default());
    other.publish(Version::new(4, 15, 0), "other");
    stand.control.set_providers(vec![other]);
    assert_eq!(told(&stand).await.0, ["v4.15.0"]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_is_told_beside_the_rest() {
    let stand = Stand::new().await;
    let down = Arc::new(MemoryProvider::default());
    let words = ProviderError::NotReachable("the cable is cut".into());
    down.set_trouble(Trouble::Resolve(words));
    let mute = Arc::new(MemoryProvider::default());
    mute.set_trouble(Trouble::Mute);
    let partly = Arc::new(MemoryProvider::default());
    partly.set_trouble(Trouble::Partly(vec!["a list is rotten".into()]));
    partly.publish(Version::new(4, 13, 0), "partly");
    let there = Arc::new(MemoryProvider::default());
    there.publish(Version::new(4, 15, 0), "there");
    let all = vec![
        down.clone() as _,
        mute.clone() as _,
        partly.clone() as _,
        there as _,
    ];
    stand.control.set_providers(all);
    let begun = tokio::time::Instant::now();
    let (versions, incomplete) = told(&stand).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(versions, ["v4.15.0", "v4.13.0"]);
    let text = incomplete.unwrap().to_string();
    assert!(text.contains("the cable is cut"), "{text}");
    assert!(text.contains("within 5 s"), "{text}");
    assert!(text.contains("a list is rotten"), "{text}");
    // It is looked at again sooner than what is whole.
    down.set_trouble(Trouble::None);
    mute.release();
    partly.set_trouble(Trouble::None);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let all = ["v4.15.0", "v4.13.0"].map(str::to_owned).to_vec();
    assert_eq!(told(&stand).await, (all, None));
}

/// A command line waits for a second; the look goes on, so that the next key finds it.
#[tokio::test(start_paused = true)]
async fn a_look_goes_on_when_whoever_asked_has_gone() {
    let stand = Stand::new().await;
    stand.provider.set_trouble(Trouble::Mute);
    let asking = tokio::time::timeout(Duration::from_secs(1), told(&stand));
    assert!(asking.await.is_err());
    assert_eq!(stand.provider.listed(), 1);
    stand.provider.release();
    let (versions, incomplete) = told(&stand).await;
    assert!(!versions.is_empty());
    assert_eq!(incomplete, None);
    assert_eq!(stand.provider.listed(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_a_longest() {
    let stand = Stand::new().await;
    for patch in 0..1_500 {
        stand.provider.publish(Version::new(5, 0, patch), "many");
    }
    let (versions, incomplete) = told(&stand).await;
    assert_eq!(versions.len(), 1_000);
    assert_eq!(versions[0], "v5.0.1499");
    assert!(incomplete.unwrap().to_string().contains("newest 1000"));
}
