//! Whoever runs the agent, and the agent: what it is asked by signals, and what a service
//! manager is told (`Type=notify`, `WatchdogSec=`). Without one nothing is sent. The start
//! enters.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the agent is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end.
    Stop,
    /// To read its settings again.
    Reload,
}

/// Where it is asked.
#[derive(Debug)]
pub(crate) struct Asking {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Asking {
    /// From now on none of these ends the process by itself. Must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn begin() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next thing that is asked. May be cancelled.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

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
