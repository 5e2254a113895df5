//! Carrying out tasks (PROTOCOL.md, section 5). The engine enters with
//! [`run_queue`]; bytes leave to agents through the
//! [`Transport`](wpk_api::Transport).
//!
//! `queue.rs` claims tasks while slots (`slots`, `turns.rs`, `awaited.rs`) are free,
//! of which there are as many as `pace.rs` finds good. `carry_out.rs` takes
//! one task to its end: an attempt (`attempt.rs`) finds the file (`find.rs`) and
//! speaks with the agent (`session.rs`), with the commands that `pieces.rs` reads for all,
//! `outcome.rs` decides what becomes of the
//! task then, `ledger.rs` writes it down, `pauses.rs` says how long to wait before
//! anything is tried again. `staging.rs` sends files ahead of the time at which they may be
//! installed, which `staged.rs` remembers.

mod attempt;
mod awaited;
mod carry_out;
mod chunk;
mod find;
mod ledger;
mod outcome;
mod pace;
mod pauses;
mod pieces;
mod pinned;
mod queue;
mod session;
mod slots;
mod staged;
mod staging;
mod turns;

pub(crate) use pieces::Pieces;
pub(crate) use queue::run as run_queue;
pub(crate) use staged::Staged;
