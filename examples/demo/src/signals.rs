//! Ctrl-C and its relatives. They are watched, so that the demo can still end
//! its processes and remove its folder.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::DemoError;

/// The signals that end the demo early.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they do not end the process. Must be called inside a runtime.
    pub(crate) fn watch() -> Result<Self, DemoError> {
        let watch = |kind| {
            signal(kind).map_err(|source| DemoError::io("signals cannot be watched", source))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }

    /// Waits for the first one.
    pub(crate) async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
