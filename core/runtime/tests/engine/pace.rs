//! How many agents are written to at the same time where nobody says it.

use std::time::Duration;

use tokio::time::Instant;
use wpk_config::Concurrency;
use wpk_testkit::memory::{Say, agent};

use crate::stand::{NEWEST, Stand};

const AGENTS: u32 = 64;

/// Sends 2 MiB to each agent; each answer takes 5 ms. How long that takes.
async fn sent(concurrency: Option<usize>) -> Duration {
    let stand = Stand::with(|settings| {
        settings.delivery.max_concurrent = concurrency.map_or(Concurrency::Auto, Concurrency::from);
    })
    .await;
    stand.provider.publish(NEWEST, vec![7; 2 << 20]);
    (stand.directory).put((11..=AGENTS).map(|id| agent(id, "Wazuh v4.7.0")));
    let agents: Vec<u32> = (1..=AGENTS).collect();
    for agent in &agents {
        stand.rule(*agent, "write", Say::After(Duration::from_millis(5)));
    }
    let began = Instant::now();
    stand.upgrade(&agents).await;
    for agent in agents {
        stand.came(agent, "upgrade", 1).await;
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn agents_that_answer_quickly_do_not_wait_for_each_other() {
    let (few, all, auto) = (
        sent(Some(8)).await,
        sent(Some(AGENTS as usize)).await,
        sent(None).await,
    );
    assert!(auto < few / 2, "{auto:?}, eight at a time {few:?}");
    assert!(auto < all * 3, "{auto:?}, all at once {all:?}");
}
