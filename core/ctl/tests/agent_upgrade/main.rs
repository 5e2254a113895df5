//! The program called as `agent_upgrade`, through a link in a manager's `bin`,
//! against a scripted manager (PROTOCOL.md, section 13).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod asks;
mod prints;
mod stage;
