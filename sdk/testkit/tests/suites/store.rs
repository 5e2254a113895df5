//! The store suites on the plain store in memory.

use std::sync::Arc;
use std::time::Duration;

use wpk_api::{Created, TaskStore};
use wpk_testkit::memory::MemoryStore;
use wpk_testkit::store_suite::{self, START, Stand, shared, upgrade};
use wpk_testkit::suite::now;

async fn empty() -> Arc<dyn TaskStore> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn the_store_in_memory_passes() {
    store_suite::run(empty).await;
}

fn for_several() -> MemoryStore {
    MemoryStore::shared(Duration::from_secs(10), 1_800_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_daemons_share_the_store_in_memory() {
    store_suite::run(async || Arc::new(for_several()) as Arc<dyn TaskStore>).await;
    shared::run(async || {
        let store = Arc::new(for_several());
        let clock = Arc::clone(&store);
        Stand::new(move || now(Arc::new(store.open_again()) as Arc<dyn TaskStore>)).passing(
            move |time| {
                clock.pass(time);
                now(())
            },
        )
    })
    .await;
}

/// A wake-up of another daemon is heard by who waits, and by who waits only later.
#[tokio::test]
async fn who_shares_the_store_in_memory_is_woken() {
    let first = for_several();
    let second = first.open_again();
    for early in [true, false] {
        let wait = async || {
            let woken = tokio::time::timeout(Duration::from_secs(10), second.stirred());
            assert!(woken.await.is_ok(), "nobody woke it");
        };
        let create = async || {
            let agent = 1 + u32::from(early);
            let created = first.create(vec![upgrade(agent, "node01", START)]).await;
            assert!(matches!(created.as_deref(), Ok([Created::Task(_)])));
        };
        if early {
            futures_util::future::join(wait(), create()).await;
        } else {
            create().await;
            wait().await;
        }
    }
}
