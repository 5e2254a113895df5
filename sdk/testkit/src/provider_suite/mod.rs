//! What every [`WpkProvider`](wpk_api::WpkProvider) must do, as one call for the author of a provider:
//!
//! ```no_run
//! # use wpk_testkit::provider_suite::{self, Published};
//! # async fn example(publish: impl Fn(bytes::Bytes) -> Published) {
//! provider_suite::run(async |file| publish(file)).await;
//! # }
//! ```
//!
//! The author's function makes these bytes the answer to some wish, wherever the
//! provider gets its files from, and says in a [`Published`] which wish that is
//! and how to open the provider. It is called many times. The suite panics with
//! the first thing that is wrong. Its parts: the sentences of the trait
//! ([`contract`]), the bytes themselves ([`streams`]), callers that give up
//! ([`cancel`]).
//!
//! The memory of the whole process is watched while the huge file is streamed,
//! so the suite should be alone in its test binary.

use bytes::Bytes;

use crate::suite::Options;

pub mod cancel;
pub mod contract;
mod published;
pub mod streams;

pub use published::Published;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run(publish: impl AsyncFn(Bytes) -> Published) {
    run_with(publish, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(publish: impl AsyncFn(Bytes) -> Published, options: &Options) {
    contract::run(&publish).await;
    streams::run(&publish, options).await;
    cancel::run(&publish).await;
    options.no_leaks().await;
}
