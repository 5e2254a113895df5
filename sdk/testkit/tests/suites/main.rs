//! The suites, on plugins in memory: a good one passes, and each kind of bad
//! one is found out. Time is paused, so that deadlines cost nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod directory;
mod managed;
mod memory;
mod observer;
mod provider;
mod settings;
mod source;
mod store;
mod transport;

/// Runs a suite; what it complained about, if it did.
pub fn verdict<F: Future<Output = ()>>(suite: impl FnOnce() -> F + Send + 'static) -> String {
    let run = move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(suite());
    };
    match std::thread::spawn(run).join() {
        Ok(()) => String::new(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}

/// The suite complained, and about this.
#[track_caller]
pub fn complains(verdict: &str, about: &str) {
    assert!(
        verdict.contains(about),
        "{about:?} was not found: {verdict:?}"
    );
}
