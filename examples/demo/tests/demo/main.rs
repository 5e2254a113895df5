//! The demo as its user runs it: what it shows, how it ends, and that it leaves
//! nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod arguments;
mod rollout;
mod stage;
mod upgrade;
