//! The border between `wpkd` and a plugin that is a dynamic library.
//!
//! `include/wpk_plugin.h` is the contract, written for authors in C; this crate
//! is the same contract in Rust and depends on nothing, so that no version of
//! anything is shared across the border. Where things are: the tables and the
//! two views of bytes in [`tables`], the numbers in [`codes`]; the daemon's side
//! enters through [`host`] (publish a table of host functions, look at a
//! plugin's table), a plugin's side through [`export`] (publish a plugin, talk
//! to the host). All that is unsafe about a C ABI is inside those two rooms:
//! what they offer is safe, and authors of Rust plugins use `wpk-plugin`, which
//! stands on [`export`].
//!
//! What no library can promise: a plugin lives in the daemon's process. One that
//! writes through a wild pointer, overflows its stack or calls `abort` ends the
//! daemon. Everything else a plugin can do wrong is answered with an error.
//!
//! ```
//! use wpk_abi::Operation;
//!
//! // An operation this build does not know is refused by its number.
//! assert_eq!(wpk_abi::codes::operation_word(Operation::Place.code()), "place");
//! assert_eq!(wpk_abi::codes::operation_word(4_000), "operation 4000");
//! ```

mod bytes;
pub mod codes;
pub mod export;
pub mod host;
pub mod tables;

pub use bytes::{BadBytes, BufferCount, Received};
pub use codes::Operation;

/// The major version of this ABI. It is in the name of the exported symbol too,
/// so that a plugin may serve two majors at once.
pub const MAJOR: u16 = 1;
/// The minor version: grows when a field, operation or status is appended.
pub const MINOR: u16 = 6;
/// The name of the one symbol a plugin exports.
pub const ENTRY: &str = "wpk_plugin_entry_v1";
