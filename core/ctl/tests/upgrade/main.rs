//! `wpkctl upgrade` against a manager on a real socket: requests, lines,
//! tables, JSON and exit statuses.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod asked;
mod feed;
mod live;
mod memory;
mod stage;
mod watched;
