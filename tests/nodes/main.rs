//! Several real daemons over one PostgreSQL database: requests asked at any node, agents
//! that move, nodes and databases that die, rollouts over all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod deaths;
mod names;
mod own_agents;
mod rollouts;
mod stand;
