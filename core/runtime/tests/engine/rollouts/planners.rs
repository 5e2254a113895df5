//! Which of several nodes carries a rollout out.

use std::sync::Arc;
use std::time::Duration;

use wpk_api::AgentInfo;
use wpk_testkit::memory::{MemoryStore, MemoryTransport, agent};

use super::fleet::{apply, status, wish};
use crate::stand::{EPOCH, NEWEST, Stand, id};

const LEASE: Duration = Duration::from_secs(15);
/// Longer than it takes until a node looks around.
const LOOK: Duration = Duration::from_secs(6);

async fn node(name: &str, store: &MemoryStore) -> Stand {
    let mut parts = Stand::parts_over(MemoryTransport::default(), |settings| {
        settings.node.name = name.to_owned();
    });
    parts.store = Arc::new(store.open_again());
    let stand = parts.start().await;
    shows(&stand, "node01", &[]);
    stand
}

/// Agents 1 to 4 are connected to a node, and some run the newest release.
fn shows(stand: &Stand, node: &str, done: &[u32]) {
    let at = |number: u32| AgentInfo {
        node: Some(node.to_owned()),
        ..match done.contains(&number) {
            true => agent(number, &format!("Wazuh {NEWEST}")),
            false => agent(number, "Wazuh v4.7.0"),
        }
    };
    stand.directory.put((1..=4).map(at));
}

/// The agents whose installers were begun at a node, once there are so many.
async fn begun(stand: &Stand, count: usize) -> Vec<u32> {
    let waits = async {
        loop {
            let begun = stand.transport.order_of("upgrade");
            if begun.len() >= count {
                break begun.iter().map(|agent| agent.get()).collect();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), waits)
        .await
        .expect("they begin")
}

const ONE_BY_ONE: &str = "[[rollout]]\nname = \"prod\"\nselect = \"id <= 4\"\ntarget = \"v4.14.9\"\n\
    [[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nmax_concurrent = 1\nsoak = \"1s\"\n";

#[tokio::test(start_paused = true)]
async fn another_node_goes_on_when_the_one_that_plans_is_gone() {
    let store = MemoryStore::shared(LEASE, EPOCH);
    let first = node("node01", &store).await;
    let second = node("node02", &store).await;
    tokio::time::sleep(LOOK).await;
    // It may be asked anywhere; whoever came first plans.
    apply(&first, ONE_BY_ONE).await.unwrap();
    let one = begun(&first, 1).await;
    tokio::time::sleep(LOOK).await;
    assert_eq!(status(&second, "prod").await["planner"]["node"], "node01");
    assert_eq!(
        begun(&first, 1).await.len() + begun(&second, 0).await.len(),
        1
    );
    let dead = first.kill().await;
    shows(&second, "node02", &one);
    assert_eq!(second.word(one[0], 0, "Done").await, 0);
    tokio::time::sleep(LOOK).await;
    assert_eq!(begun(&second, 0).await, [0u32; 0], "the lease lives");
    store.pass(LEASE + Duration::from_secs(1));
    let next = begun(&second, 1).await;
    assert_ne!(next[0], one[0]);
    assert_eq!(status(&second, "prod").await["planner"]["node"], "node02");
    // One at a time, as before.
    tokio::time::sleep(LOOK).await;
    assert_eq!(begun(&second, 1).await.len(), 1);
    // The one that was gone comes back, and leaves it to the other.
    let first = dead.start().await;
    shows(&first, "node02", &one);
    tokio::time::sleep(LOOK).await;
    assert_eq!(status(&first, "prod").await["planner"]["node"], "node02");
    // What is stopped at one node begins at none.
    wish(&first, "rollout_pause", "prod").await;
    shows(&second, "node02", &[one[0], next[0]]);
    assert_eq!(second.word(next[0], 0, "Done").await, 0);
    tokio::time::sleep(LOOK).await;
    assert_eq!(begun(&second, 1).await.len(), 1);
    assert_eq!(
        (1..=4)
            .map(|agent| first.transport.begun(id(agent)))
            .sum::<usize>(),
        1
    );
    wish(&first, "rollout_resume", "prod").await;
    begun(&second, 2).await;
}
