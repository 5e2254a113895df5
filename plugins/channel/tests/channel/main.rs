//! The channel as agents and the engine use it: real TCP, real TLS, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod connections;
mod registry;
mod words;
