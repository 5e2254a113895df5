//! What every [`AgentDirectory`](wpk_api::AgentDirectory) must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::directory_suite::{self, Stand};
//! # async fn example(with_agents: impl Fn(usize) -> Stand) {
//! directory_suite::run(async |count| with_agents(count)).await;
//! # }
//! ```
//!
//! The author's function makes a directory that knows so many agents (0, a few,
//! 10,000) and says in a [`Stand`] how to open it and what it should say of
//! them. The suite panics with the first thing that is wrong. Its parts:
//! questions about given agents ([`lookup`]), the list ([`list`]), enrolment
//! ([`enroll`]), changes, details, tokens and the CA where they are offered ([`manage`]).

use crate::suite::Options;

pub mod enroll;
pub mod list;
pub mod lookup;
pub mod manage;
mod stand;

pub use stand::{MANY, Stand};

use stand::FEW;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run(make: impl AsyncFn(usize) -> Stand) {
    run_with(make, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(make: impl AsyncFn(usize) -> Stand, options: &Options) {
    for count in [0, FEW, MANY] {
        let stand = make(count).await;
        assert_eq!(stand.agents.len(), count, "the stand's agents");
        let directory = stand.open.open().await;
        lookup::run(&directory, &stand).await;
        list::run(&directory, &stand).await;
        if count != MANY {
            enroll::run(&directory).await;
            manage::run(&directory, &stand).await;
        }
        drop(directory);
        if count == FEW {
            a_restart_changes_nothing(&stand).await;
        }
    }
    options.no_leaks().await;
}

async fn a_restart_changes_nothing(stand: &Stand) {
    let directory = stand.open.open().await;
    lookup::finds(&*directory, &stand.ids(), stand).await;
}
