//! How long is waited, and how often it is looked.

use std::time::Duration;

use crate::settings::UpgradeSettings;

/// The pauses of the loop.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(super) start: Duration,
    pub(super) max: Duration,
    pub(super) factor: f64,
    /// How long, after something happened, a result is looked for closely.
    pub(super) wait: Duration,
    pub(super) check: Duration,
    /// How long a result may say nothing.
    pub(super) grace: Duration,
}

impl Schedule {
    pub(crate) fn new(settings: &UpgradeSettings) -> Self {
        Self {
            start: settings.notification_wait_start.0,
            max: settings.notification_wait_max.0,
            factor: settings.notification_wait_factor,
            wait: settings.result_wait.0,
            check: settings.result_check.0,
            grace: settings.result_grace.0,
        }
    }

    pub(super) fn longer(&self, pause: Duration) -> Duration {
        Duration::try_from_secs_f64(pause.as_secs_f64() * self.factor)
            .unwrap_or(self.max)
            .min(self.max)
    }
}
