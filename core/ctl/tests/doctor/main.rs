//! `wpkctl doctor` on a manager's home with real sockets, a real repository, a
//! real database and real certificates, each good or broken in one way.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod absent;
mod daemon;
mod manager;
mod repository;
mod site;
mod stored;
