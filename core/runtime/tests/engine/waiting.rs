//! Who waits for a file or for an agent to dial in has no slot, and costs memory only.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use wpk_api::{Status, Version};
use wpk_testkit::memory::{Trouble, agent};

use crate::stand::{Stand, id};

/// What is at once, where files are looked for on a disk.
const AT_ONCE: Duration = Duration::from_millis(100);
const MANY: u32 = 500;

/// One slot, many more agents, and the newest file here.
async fn one_slot(agents: u32) -> Stand {
    let stand = Stand::with(|settings| settings.delivery.max_concurrent = 1.into()).await;
    let more = (1_001..=1_000 + agents).map(|id| agent(id, "Wazuh v4.7.0"));
    stand.directory.put(more);
    stand.upgrade(&[9]).await;
    stand.delivered(9).await;
    stand
}

/// How long it is until an agent whose file is here is told to run its installer.
async fn served(stand: &Stand, agent: u32, since: Instant) -> Duration {
    assert_eq!(stand.upgrade(&[agent]).await, [0]);
    stand.came(agent, "upgrade", 1).await;
    since.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_first_who_waits_for_a_file_has_no_slot_either() {
    let stand = one_slot(0).await;
    let other = Version::new(4, 14, 8);
    stand.provider.publish(other, vec![1; 1000]);
    stand.provider.set_trouble(Trouble::Slow);
    let asked = Instant::now();
    stand
        .codes(json!({"agents": [1], "version": "v4.14.8"}))
        .await;
    let took = served(&stand, 2, asked).await;
    assert!(took < AT_ONCE, "{took:?}");
    stand.provider.release();
    stand.delivered(1).await;
}

/// Nothing is known of one wish from another.
#[tokio::test(start_paused = true)]
async fn many_who_wait_each_for_a_file_of_its_own_delay_nobody() {
    let stand = one_slot(MANY).await;
    let version = |nth: u32| Version::new(4, 8 + nth / 100, nth % 100);
    for nth in 0..MANY {
        stand
            .provider
            .publish(version(nth), nth.to_be_bytes().to_vec());
    }
    stand.provider.set_trouble(Trouble::Slow);
    let asked = Instant::now();
    for nth in 0..MANY {
        let wish = json!({"agents": [1_001 + nth], "version": version(nth).to_string()});
        assert_eq!(stand.codes(wish).await, [0]);
    }
    let took = served(&stand, 1, asked).await;
    assert!(took < 3 * AT_ONCE, "{took:?}");
    stand.provider.release();
    for nth in 0..MANY {
        stand.came(1_001 + nth, "upgrade", 1).await;
    }
    assert_eq!(stand.transport.most_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_agents_that_dial_in_late_delay_nobody() {
    let stand = one_slot(MANY).await;
    let away: Vec<u32> = (1_001..=1_000 + MANY).collect();
    for agent in &away {
        stand.transport.disconnect(id(*agent));
    }
    let asked = Instant::now();
    stand.upgrade(&away).await;
    let took = served(&stand, 1, asked).await;
    assert!(took < 3 * AT_ONCE, "{took:?}");
    for agent in &away {
        stand.transport.connect(id(*agent));
    }
    stand.came(1_000 + MANY, "upgrade", 1).await;
    assert_eq!(stand.transport.most_in_flight(), 1);
}

/// They would be In progress without anything being done about them.
#[tokio::test(start_paused = true)]
async fn who_wants_what_is_waited_for_waits_in_the_queue() {
    let stand = one_slot(MANY).await;
    let other = Version::new(4, 14, 8);
    stand.provider.publish(other, vec![1; 1000]);
    stand.provider.set_trouble(Trouble::Slow);
    let many: Vec<u32> = (1_001..=1_000 + MANY).collect();
    let wish = json!({"agents": many, "version": "v4.14.8"});
    stand.codes(wish).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let queued = |agent: &&u32| stand.task(**agent).status == Status::Pending;
    assert_eq!(many.iter().filter(queued).count(), many.len() - 1);
    // Behind them all is one whose file is here.
    let took = served(&stand, 2, Instant::now()).await;
    assert!(took < AT_ONCE, "{took:?}");
    stand.provider.release();
    stand.delivered(1_000 + MANY).await;
}
