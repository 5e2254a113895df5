//! What every [`Transport`](wpk_api::Transport) must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::transport_suite::{self, Stand};
//! # async fn example(set_up: impl Fn(std::sync::Arc<transport_suite::Agents>) -> Stand) {
//! transport_suite::run(async |agents| set_up(agents)).await;
//! # }
//! ```
//!
//! The author's function sets up whatever lies between the transport and its
//! agents, puts the suite's simulated [`Agents`] behind it, and says in a
//! [`Stand`] which agents there are and how to open the transport. Give the
//! transport a time limit of a few seconds: the suite waits for it several
//! times. The suite panics with the first thing that is wrong. Its parts: the
//! sentences of the trait ([`contract`]), agents that fail ([`trouble`]),
//! callers that give up ([`cancel`]).

use std::sync::Arc;

use crate::suite::Options;

mod agents;
pub mod cancel;
pub mod contract;
mod stand;
pub mod trouble;

pub use agents::{Agents, Reaction};
pub use stand::{AGENTS, Stand};

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run(set_up: impl AsyncFn(Arc<Agents>) -> Stand) {
    run_with(set_up, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(set_up: impl AsyncFn(Arc<Agents>) -> Stand, options: &Options) {
    contract::run(&set_up).await;
    trouble::run(&set_up).await;
    cancel::run(&set_up).await;
    options.no_leaks().await;
}
