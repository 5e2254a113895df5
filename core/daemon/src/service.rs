//! What a service manager is told (`Type=notify`, `WatchdogSec=`). Without one
//! nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tracing::{debug, warn};
use wpk_api::CancellationToken;

/// Keeps the watchdog fed as long as the async runtime turns; ends when dropped.
pub(crate) struct Watchdog(Vec<AbortHandle>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Says that requests are answered from now on, and later that the daemon stops.
pub(crate) fn ready(stop: &CancellationToken) -> Watchdog {
    tell(&[NotifyState::Ready]);
    let stop = stop.clone();
    let farewell = tokio::spawn(async move {
        stop.cancelled().await;
        tell(&[NotifyState::Stopping]);
    });
    let mut tasks = vec![farewell.abort_handle()];
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tasks.push(tokio::spawn(feed(limit / 2)).abort_handle());
    }
    Watchdog(tasks)
}

async fn feed(every: Duration) {
    debug!(?every, "feeding the watchdog");
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "the service manager cannot be told");
    }
}
