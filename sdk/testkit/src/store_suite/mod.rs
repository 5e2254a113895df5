//! What every [`TaskStore`] must do, as one call for the author of a store:
//!
//! ```no_run
//! # async fn example(open_a_store: impl Fn() -> std::sync::Arc<dyn wpk_api::TaskStore>) {
//! wpk_testkit::store_suite::run(async || open_a_store()).await;
//! # }
//! ```
//!
//! The maker is called many times and must return an empty store each time.
//! The suite panics with the first thing that is wrong. Its parts: the sentences of
//! the trait's documentation one by one, up to an installer that is begun
//! ([`contract`]) and how tasks end and go ([`ends`]); what a daemon that entered carries
//! out, and what it takes over ([`entered`]); whose word counts
//! ([`words`]), whether agents run what they were sent ([`confirmations`]), timelines
//! and the feed ([`history`]), tasks of other programs where a store takes them over
//! ([`imports`]), lists of tasks where it has any ([`lists`]), documents and what is made for them where a store keeps any ([`documents`]),
//! callers that race each other ([`races`]), and random sequences of all
//! operations against a simple store in memory ([`model`]), shrunk to a short one when
//! they differ.
//!
//! A store that outlives a daemon also runs [`restarts`], on a [`Stand`] that opens it again
//! and again; one that several daemons share [`shared`], which is the rest of the contract.

use std::sync::Arc;

use wpk_api::TaskStore;

use crate::suite::Options;

pub mod confirmations;
pub mod contract;
pub mod documents;
pub mod ends;
pub mod entered;
pub mod history;
pub mod imports;
pub mod lists;
pub mod model;
pub mod races;
pub mod restarts;
pub mod shared;
mod stand;
mod steps;
mod tasks;
pub mod words;

pub use stand::Stand;
pub(crate) use tasks::ok;
pub use tasks::{START, TARGET, agent, bare, held, order, to, upgrade};

/// Random sequences that [`run`] tries.
pub const SEQUENCES: u32 = 48;

/// The whole suite. Needs a tokio runtime; races are better with several threads.
pub async fn run(make: impl AsyncFn() -> Arc<dyn TaskStore>) {
    run_with(make, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(make: impl AsyncFn() -> Arc<dyn TaskStore>, options: &Options) {
    contract::run(&make).await;
    ends::run(&make).await;
    entered::run(&make).await;
    documents::run_where_supported(&make).await;
    words::run(&make).await;
    confirmations::run(&make).await;
    history::run(&make).await;
    imports::run_where_supported(&make).await;
    lists::run_where_supported(&make).await;
    races::run(&make).await;
    model::run(&make, SEQUENCES).await;
    options.no_leaks().await;
}
