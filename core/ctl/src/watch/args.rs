//! How often and how long is asked: the options of everything that watches tasks.

use std::time::Duration;

use clap::Args;

use crate::options::duration;

/// Between two questions about what changed: more could not be shown.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_millis(200);
/// How long tasks are watched, and a manager that went away is looked for, unless it is said.
const TASKS_FOR: Duration = Duration::from_secs(30 * 60);
const RECONNECT_FOR: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(500);
/// A rollout takes days, through which managers are restarted.
const ROLLOUT_RECONNECT_FOR: Duration = Duration::from_secs(300);
const ROLLOUT_INTERVAL: Duration = Duration::from_secs(1);

/// The options.
#[derive(Debug, Default, Args)]
pub(crate) struct PaceArgs {
    /// How long to watch; what is watched goes on afterwards. Absent: 30m, but a rollout until
    /// nothing is left to do.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// How often to ask how far deliveries are, and a manager that does not tell of changes.
    /// Absent: 500ms; a rollout 1s, and no less than 200ms.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) interval: Option<Duration>,
    /// How long to try to reach a manager that went away while watching. Absent: 60s, for a
    /// rollout 5m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) reconnect_for: Option<Duration>,
}

impl PaceArgs {
    /// For tasks, with how long to wait for new versions to be seen.
    pub(crate) fn pace(&self, confirm_for: Option<Duration>) -> Pace {
        Pace {
            interval: self.interval.unwrap_or(INTERVAL),
            timeout: self.timeout.unwrap_or(TASKS_FOR),
            reconnect_for: self.reconnect_for.unwrap_or(RECONNECT_FOR),
            confirm_for,
        }
    }

    /// For a rollout.
    pub(crate) fn of_rollout(&self) -> RolloutPace {
        RolloutPace {
            interval: self.interval.unwrap_or(ROLLOUT_INTERVAL).max(LEAST_PAUSE),
            timeout: self.timeout,
            reconnect_for: self.reconnect_for.unwrap_or(ROLLOUT_RECONNECT_FOR),
        }
    }
}

/// How often and how long to ask how a rollout is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RolloutPace {
    /// Between two questions.
    pub(crate) interval: Duration,
    /// For watching as a whole; `None`: until nothing is left to do.
    pub(crate) timeout: Option<Duration>,
    /// For reaching a manager again that went away.
    pub(crate) reconnect_for: Duration,
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
