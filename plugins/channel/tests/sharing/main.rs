//! Several managers that keep their agents in one store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "../common/mod.rs"]
mod common;

mod agents;
mod authorities;
mod joining;
mod outages;
mod site;
mod storm;
