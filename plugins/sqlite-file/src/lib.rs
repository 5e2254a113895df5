//! What the built-in plugins that keep an SQLite file (`sqlite`, `channel`,
//! `wazuh`) have in common.
//!
//! [`Place`] notices that an open file was taken away from where it lay, so that
//! nothing is written into a file that nobody can find again; [`examine`] asks the
//! machine whether another process has such a file. [`fault`] puts what
//! SQLite says into the words of [`StoreError`](wpk_api::StoreError). [`tasks`] is the
//! table of tasks that a manager and our store both have.

mod fault;
mod held;
mod lies;
mod place;
pub mod tasks;

pub use fault::{Faults, fault};
pub use held::{examine, is_open};
pub use lies::misplaced;
pub use place::{Moved, Place};
