//! `wpkctl guide`, and that the guide stays true: what it names is there, and what is there
//! it names. Blocks that begin with three backquotes and `sh run` are carried out, with
//! `sh run daemon` beside wpkd and wpk-agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod lists;
mod messages;
mod page;
mod settings;
mod shows;
mod socket;
mod statuses;
mod texts;
