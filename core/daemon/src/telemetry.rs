//! Logs: one line per event on standard error, where a service manager or a
//! terminal picks it up. `RUST_LOG` chooses what is shown (default `info`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging; called once.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start is harmless: the first one stays.
    let _ = logs.try_init();
}
