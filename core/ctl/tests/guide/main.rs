//! `wpkctl guide`, and that the guide stays true: what it names is there, and what is there
//! it names. Blocks that begin with three backquotes and `sh run` are carried out, with
//! `sh run daemon` beside wpkd and wpk-agent, and with `sh run stand` beside a manager with
//! agents. A block that cannot run here says `sh elsewhere:` and why.
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
mod stand;
mod statuses;
mod texts;
