//! Many agents that come and go at once, asked about by many, over a store that goes away.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;
use wpk_api::{AgentChange, AgentDirectory, ConnectionStatus, Labels};
use wpk_testkit::channel_agent::ChannelAgent;

use crate::site::{Site, until};

const AGENTS: usize = 24;
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn whoever_comes_in_a_storm_is_where_it_came_last() {
    let site = Site::new();
    let managers = [site.manager("node01").await, site.manager("node02").await];
    let mut enrolled = Vec::new();
    for n in 0..AGENTS {
        enrolled.push(managers[n % 2].enroll(&format!("web{n}")).await);
    }
    // Everybody asks all the time, and somebody changes what nobody minds.
    let over = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    for asker in 0..6 {
        let (channel, over) = (Arc::clone(&managers[asker % 2].channel), Arc::clone(&over));
        let ids: Vec<_> = enrolled.iter().map(|one| one.id).collect();
        asking.spawn(async move {
            let mut round = 0;
            while !over.load(Ordering::SeqCst) {
                round += 1;
                let page = channel.list(None, 1_000).await.unwrap();
                assert!(page.agents.len() <= AGENTS);
                // Where the store is away, that is said.
                let _ = channel.lookup(&ids).await;
                let set = Labels::from([(format!("asker{asker}"), round.to_string())]);
                let unset = Vec::new();
                let change = AgentChange::Label { set, unset };
                let _ = channel.change(ids[asker], &change).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut connected = HashMap::new();
    for round in 0..ROUNDS {
        let mut dialling = JoinSet::new();
        for (n, one) in enrolled.iter().enumerate() {
            let at = (n + round) % 2;
            let mut there = one.clone();
            there.address = Some(managers[at].address());
            dialling.spawn(async move {
                // Of one that is not known yet nobody can tell while the store is away.
                loop {
                    if let Ok((agent, _)) = ChannelAgent::connect(&there).await {
                        return (there.id, at, agent);
                    }
                }
            });
        }
        let mut came = 0;
        while let Some(dialled) = dialling.join_next().await {
            let (id, at, agent) = dialled.unwrap();
            connected.insert(id, (at, agent));
            came += 1;
            site.wire.cut(round % 2 == 1 && came < AGENTS / 2);
        }
    }
    over.store(true, Ordering::SeqCst);
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    for (id, (at, _)) in &connected {
        let node = format!("node0{}", at + 1);
        for manager in &managers {
            until(manager, *id, |info| {
                info.connection == ConnectionStatus::Active
                    && info.node.as_deref() == Some(node.as_str())
            })
            .await;
        }
    }
    for (_, agent) in connected.into_values() {
        drop(agent);
    }
    for manager in managers {
        manager.stop().await;
    }
}
