//! Completions that the manager knows: the generated scripts in their shells, against a
//! manager on a real socket. A shell that is not installed is left out, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "../common/mod.rs"]
mod common;

mod bash;
mod fish;
mod stage;
mod zsh;
