//! The engine in process: its traits in memory, its time paused. What takes
//! minutes on a manager takes milliseconds here, and nothing is left to luck.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod acknowledgements;
mod ahead;
mod answers;
mod cancel;
mod changes;
mod confirmation;
mod delivery;
mod housekeeping;
mod intake;
mod left;
mod listed;
mod mirrors;
mod nodes;
mod observers;
mod pace;
mod queue;
mod restart;
mod rollouts;
mod stand;
mod steps;
mod task_socket;
mod timelines;
mod versions;
mod waiting;
mod wishes;
mod words;
