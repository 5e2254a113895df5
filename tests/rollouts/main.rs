//! Rollouts over whole fleets of simulated agents, on the real engine and the real store,
//! with time that passes as fast as it can: agents that fail, lie, fall silent and go away,
//! and managers that are killed in the middle. `ROLLOUT_AGENTS=50000` makes the fleet as
//! large as the largest sites (about six minutes in release); `ROLLOUT_HALTS=1000`
//! measures so many halts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod agents;
mod halts;
mod manager;
mod story;
