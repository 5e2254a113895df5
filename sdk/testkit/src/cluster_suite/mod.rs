//! What the store of a worker node must do (protocol.md, section 10), as one call
//! for each way it is linked or loaded. It is no suite for other stores: the tasks
//! are the master's, which is a [`FakeCluster`](crate::cluster::FakeCluster) here.
//!
//! The suite panics with the first thing that is wrong. Its parts: tasks from
//! their creation to their end ([`life`]), a worker that ends at any moment
//! ([`restart`]), and what a built-in module and the master do meanwhile
//! ([`meanwhile`]).

use wpk_api::TaskStore;

use crate::stands::AnyFactory;
use crate::suite::Options;

pub mod life;
pub mod meanwhile;
pub mod restart;
mod stand;

pub use stand::{NODE, NOW, Stand, id, order, to, upgrade};

/// The whole suite. Needs a tokio runtime.
pub async fn run(factory: AnyFactory<dyn TaskStore>) {
    run_with(factory, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(factory: AnyFactory<dyn TaskStore>, options: &Options) {
    life::run(&factory).await;
    restart::run(&factory).await;
    meanwhile::run(&factory).await;
    options.no_leaks().await;
}
