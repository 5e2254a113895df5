//! What a service manager is told (`Type=notify`, `WatchdogSec=`). Without one nothing is
//! sent. The start (`run`) enters.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Says that commands are carried out from now on, and later that the agent stops; in
/// between keeps the watchdog fed as long as the async runtime turns. Never ends.
pub(crate) async fn attend(stop: &CancellationToken) {
    tell(&[NotifyState::Ready]);
    match sd_notify::watchdog_enabled() {
        Some(limit) => {
            let every = (limit / 2).max(Duration::from_millis(100));
            let mut ticks = tokio::time::interval(every);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                tell(&[NotifyState::Watchdog]);
            }
        }
        None => stop.cancelled().await,
    }
    tell(&[NotifyState::Stopping]);
    std::future::pending().await
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}
