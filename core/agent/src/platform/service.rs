//! Whoever runs the agent, and the agent: what it is asked by signals, and what a service
//! manager is told (`Type=notify`, `WatchdogSec=`). Without one nothing is sent. The start
//! enters.

use std::fs;
use std::io;
use std::path::PathBuf;
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

/// The file that standard error goes to, if it is one.
pub(crate) fn log() -> Option<PathBuf> {
    let path = fs::read_link("/proc/self/fd/2").ok();
    path.filter(|path| path.is_file())
}

/// The unit of systemd that this process is the service of, if any.
pub(crate) fn unit() -> Option<String> {
    unit_of(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The service in the process's group, in a line such as
/// `0::/system.slice/wpk-agent.service`.
fn unit_of(cgroup: &str) -> Option<String> {
    let last = cgroup.lines().find_map(|line| line.rsplit('/').next());
    let name = last.filter(|name| name.ends_with(".service"))?;
    // Those of a session manager are no services of the system's.
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    (name.chars().all(good) && !name.starts_with("user@")).then(|| name.to_owned())
}

/// What this machine calls itself; empty where that cannot be told.
pub(crate) fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_services_of_the_system() {
        for (text, found) in [
            (
                "0::/system.slice/wpk-agent.service\n",
                Some("wpk-agent.service"),
            ),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("0::/user.slice/user@0.service\n", None),
            ("0::/\n", None),
            ("0::/a;b.service\n", None),
        ] {
            assert_eq!(unit_of(text).as_deref(), found, "{text}");
        }
    }
}
