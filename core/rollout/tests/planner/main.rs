//! The planner, in a world of its own: a table for each known trap.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub)]

mod traps;
mod world;
