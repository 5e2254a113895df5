//! What goes wrong around a real daemon: full disks, repositories that do not
//! answer, agents that say the wrong thing at the wrong time. Every fault is a row
//! of a table (place, fault, expected, seen), which is printed at the end.
//!
//! ```sh
//! cargo test -p wpk-tests --test faults              # all
//! cargo test -p wpk-tests --test faults -- disk      # rows with this word
//! ```
//!
//! There is no usual harness around it: a test that is no row would not be run, and
//! is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod acknowledgements;
mod agents;
mod clients;
mod clock;
mod disk;
mod files;
mod log;
mod reload;
mod removed;
mod repositories;
mod slots;
mod table;
mod words;

use std::process::ExitCode;

use table::Check;

fn main() -> ExitCode {
    let rooms = [
        acknowledgements::CHECKS,
        agents::CHECKS,
        clients::CHECKS,
        words::CHECKS,
        slots::CHECKS,
        repositories::CHECKS,
        files::CHECKS,
        removed::CHECKS,
        reload::CHECKS,
        disk::CHECKS,
        log::CHECKS,
        clock::CHECKS,
    ];
    let checks: Vec<&'static Check> = rooms.into_iter().flatten().collect();
    table::main("faults", &checks)
}
