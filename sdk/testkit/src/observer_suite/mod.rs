//! What every [`TaskObserver`](wpk_api::TaskObserver) must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::observer_suite::{self, Stand};
//! # async fn example(with_nothing_told: impl Fn() -> Stand) {
//! observer_suite::run(async || with_nothing_told()).await;
//! # }
//! ```
//!
//! The author's function makes an observer that was told nothing yet, and says in a
//! [`Stand`] how to open it, how to see what became of what it is told, and how to keep it
//! from its work. It is called many times. The suite panics with the first thing that is
//! wrong. Its parts: changes as they come ([`changes`]), what goes wrong and who gives up
//! ([`trouble`]), and what an observer shows to be compared ([`shown`]).

use crate::suite::Options;

pub mod changes;
pub mod shown;
mod stand;
pub mod trouble;

pub use stand::{MANY, Stand};

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run(make: impl AsyncFn() -> Stand) {
    run_with(make, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with(make: impl AsyncFn() -> Stand, options: &Options) {
    changes::run(&make).await;
    trouble::run(&make).await;
    shown::run(&make).await;
    options.no_leaks().await;
}
