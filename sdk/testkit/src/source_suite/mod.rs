//! What every [`RequestSource`](wpk_api::RequestSource) must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::source_suite::{self, Stand};
//! # async fn example(set_up: impl Fn() -> Stand) {
//! source_suite::run(async || set_up()).await;
//! # }
//! ```
//!
//! The author's function says in a [`Stand`] how to open the source and how a
//! client connects to it. The suite plays the engine and the clients. It panics
//! with the first thing that is wrong. Its parts: requests and answers
//! ([`contract`]), clients that are slow, silent or gone ([`patience`]), the
//! end ([`stop`]). A source whose requests are never answered has a suite of its
//! own, [`one_way`].

use crate::suite::Options;

mod client;
pub mod contract;
mod engine;
pub mod one_way;
pub mod patience;
mod stand;
pub mod stop;

pub use client::SourceClient;
pub use stand::Stand;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run(set_up: impl AsyncFn() -> Stand) {
    run_with(set_up, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(set_up: impl AsyncFn() -> Stand, options: &Options) {
    contract::run(&set_up).await;
    patience::run(&set_up).await;
    stop::run(&set_up).await;
    options.no_leaks().await;
}
