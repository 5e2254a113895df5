//! Our own commands, from both ends. The bytes are those of the first release:
//! its tool and its daemon must go on understanding ours.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agents;
mod asked;
mod common;
mod rollout_answers;
mod rollouts;
mod tasks;
