//! What a [`TaskStore`](wpk_api::TaskStore) must do that several daemons share, as one
//! call for its author:
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! # use wpk_testkit::{memory::MemoryStore, store_suite::{shared, Stand}, suite::now};
//! # async fn example() {
//! shared::run(async || {
//!     let store = Arc::new(MemoryStore::shared(Duration::from_secs(10), 1_800_000_000));
//!     let clock = Arc::clone(&store);
//!     Stand::new(move || now(Arc::new(store.open_again()) as _))
//!         .passing(move |time| now(clock.pass(time)))
//! })
//! .await;
//! # }
//! ```
//!
//! The maker is called many times and must return an empty store each time. Its parts:
//! names, leases and fencing ([`entries`]), what becomes of the tasks of a node that is
//! gone ([`orphans`]), a node that dies at every step of a task ([`deaths`]), clocks that
//! differ and commits that nobody knows the outcome of ([`doubts`]). What holds for a
//! store of one daemon as well is in [`super::run`], which an author runs too, and in
//! [`super::restarts`].

use super::{documents, restarts};
use crate::store_suite::stand::Stand;

pub mod deaths;
pub mod doubts;
pub mod entries;
pub mod orphans;

/// The whole suite. Needs a tokio runtime; races are better with several threads.
pub async fn run(make: impl AsyncFn() -> Stand) {
    restarts::run(&make).await;
    entries::run(&make).await;
    orphans::run(&make).await;
    deaths::run(&make).await;
    doubts::run(&make).await;
    documents_are_shared(&make().await).await;
    documents::opened_for_another(&make().await).await;
}

/// Where the store keeps any: the races of one daemon, now among several.
async fn documents_are_shared(stand: &Stand) {
    let mut stores = Vec::new();
    for node in ["node01", "node02", "node03"] {
        stores.push(stand.daemon(node).await.store);
    }
    if stores[0].documents("", "", 1).await.is_ok() {
        documents::races(&stores).await;
    }
}
