//! Callers that give up: at every point of a request, also while the agent is
//! at work. The next request goes on as if nothing had been.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use wpk_api::Transport;

use super::agents::Agents;
use super::stand::{Stand, answered, asked};
use crate::suite::{at_every_point, pattern};

/// Requests given up while an agent works on them: more than any sensible
/// number of places that a transport could lose by it.
const GIVEN_UP: usize = 400;

/// All stories.
pub async fn run(set_up: &impl AsyncFn(Arc<Agents>) -> Stand) {
    let (agents, stand, transport) = Stand::ready(set_up).await;
    requests_are_given_up_at_every_point(&*transport, &stand).await;
    agents_at_work_are_given_up(&transport, &agents, &stand).await;
}

async fn requests_are_given_up_at_every_point(transport: &dyn Transport, stand: &Stand) {
    let agent = stand.agent(0);
    let count = AtomicUsize::new(0);
    let next = |what: &str| format!("{what} {}", count.fetch_add(1, Ordering::Relaxed));
    at_every_point(
        "a request that is given up",
        async || answered(transport, agent, next("given up")).await,
        async || answered(transport, agent, next("after it")).await,
    )
    .await;
    let long = pattern(transport.max_command());
    at_every_point(
        "a long request that is given up",
        async || answered(transport, agent, long.clone()).await,
        async || answered(transport, agent, next("after a long one")).await,
    )
    .await;
}

async fn agents_at_work_are_given_up(
    transport: &Arc<dyn Transport>,
    agents: &Agents,
    stand: &Stand,
) {
    let agent = stand.agent(1);
    for n in 0..GIVEN_UP / 20 {
        let mut requests = JoinSet::new();
        for m in 0..20 {
            let transport = Arc::clone(transport);
            let command = format!("held {n} {m}");
            requests.spawn(async move { asked(&*transport, agent, command).await });
        }
        agents.wait_for(&[agent], b"held", n * 20 + 1).await;
        requests.shutdown().await;
    }
    // Another agent is reached while these are still at work, and this one after.
    answered(&**transport, stand.agent(2), "meanwhile").await;
    agents.hold(false);
    answered(&**transport, agent, "after all").await;
}
