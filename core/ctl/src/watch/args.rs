//! How often and how long is asked: the options of everything that watches tasks.

use std::time::Duration;

use clap::Args;

use crate::options::duration;

/// The options.
#[derive(Debug, Args)]
pub(crate) struct PaceArgs {
    /// How long to watch; the tasks go on afterwards.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How often to ask how far deliveries are, and a manager that does not tell of changes.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(crate) interval: Duration,
    /// How long to try to reach a manager that went away while watching.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) reconnect_for: Duration,
}

impl PaceArgs {
    /// With how long to wait for new versions to be seen.
    pub(crate) const fn pace(&self, confirm_for: Option<Duration>) -> Pace {
        Pace {
            interval: self.interval,
            timeout: self.timeout,
            reconnect_for: self.reconnect_for,
            confirm_for,
        }
    }
}

/// How often and how long to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two questions how far deliveries are.
    pub(crate) interval: Duration,
    /// For watching as a whole.
    pub(crate) timeout: Duration,
    /// For reaching a manager again that went away.
    pub(crate) reconnect_for: Duration,
    /// For what the manager sees of new versions once every task has ended; `None`:
    /// until it has decided.
    pub(crate) confirm_for: Option<Duration>,
}
