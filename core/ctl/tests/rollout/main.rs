//! `wpkctl rollout`, `release` and `agent hold | unhold | holds | label` against a manager
//! on a real socket: requests, texts, JSON and exit statuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod attach;
mod changes;
mod others;
mod plans;
mod shows;
mod stage;
mod terminal;
mod watched;
