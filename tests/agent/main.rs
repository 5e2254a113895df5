//! States that could switch an agent off for good, on the real program: in each a
//! fault is brought about, and then a whole upgrade must go well without anybody's
//! hand. Every state is a row of a table (before, fault, expected, seen), which is
//! printed at the end.
//!
//! ```sh
//! cargo test -p wpk-tests --test agent              # all
//! cargo test -p wpk-tests --test agent -- result    # rows with this word
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod beside;
mod homes;
mod installers;
mod itself;
mod results;
mod stand;
mod system;
#[path = "../faults/table.rs"]
mod table;

use std::process::ExitCode;

use table::Check;

fn main() -> ExitCode {
    let rooms = [
        results::CHECKS,
        installers::CHECKS,
        itself::CHECKS,
        beside::CHECKS,
        homes::CHECKS,
        system::CHECKS,
    ];
    let checks: Vec<&'static Check> = rooms.into_iter().flatten().collect();
    table::main("agent", &checks)
}
