//! The notification loop (section 7): looks for the result of an upgrade and
//! acknowledges it with growing pauses until the manager has it cleared.
//!
//! It runs from start to end of the agent, because an installer may restart the
//! agent or not, and may take longer than anybody thought.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wpk_wire::Acknowledgement;

use crate::installer_log::InstallerLog;
use crate::outbox::Outbox;
use crate::result::ResultFile;
use crate::settings::UpgradeSettings;
use crate::state::State;

/// The pauses of the loop.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    start: Duration,
    max: Duration,
    factor: f64,
    /// How long, after something happened, a result is looked for closely.
    wait: Duration,
    check: Duration,
}

impl Schedule {
    pub(crate) fn new(settings: &UpgradeSettings) -> Self {
        Self {
            start: settings.notification_wait_start.0,
            max: settings.notification_wait_max.0,
            factor: settings.notification_wait_factor,
            wait: settings.result_wait.0,
            check: settings.result_check.0,
        }
    }

    fn longer(&self, pause: Duration) -> Duration {
        Duration::try_from_secs_f64(pause.as_secs_f64() * self.factor)
            .unwrap_or(self.max)
            .min(self.max)
    }
}

/// Runs for ever.
pub(crate) async fn run(state: Arc<State>, schedule: Schedule, log: InstallerLog, outbox: Outbox) {
    loop {
        let result = look(&state, &schedule, &log).await;
        tracing::info!("an upgrade ended with result {result}; the manager will be told");
        deliver(&state, &schedule, &outbox).await;
        outbox.clear();
    }
}

/// Waits for a result.
async fn look(state: &State, schedule: &Schedule, log: &InstallerLog) -> u8 {
    let mut closely = Instant::now() + schedule.wait;
    let mut warned = false;
    loop {
        log.bound();
        match ResultFile::read(state.result_path()) {
            ResultFile::Result(result) => return result,
            ResultFile::Invalid if !warned => {
                warned = true;
                tracing::warn!(
                    "{} says neither 0, 1 nor 2: nothing is reported to the manager",
                    state.result_path().display()
                );
            }
            ResultFile::Absent => warned = false,
            ResultFile::Empty | ResultFile::Invalid => {}
        }
        let pause = if Instant::now() < closely {
            schedule.check
        } else {
            schedule.wait.max(schedule.check)
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = state.changed() => closely = Instant::now() + schedule.wait,
        }
    }
}

/// Acknowledges until the file is gone.
async fn deliver(state: &State, schedule: &Schedule, outbox: &Outbox) {
    let mut pause = schedule.start;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            // Cleared; a result that is there already again starts anew.
            () = state.changed() => return,
        }
        let ResultFile::Result(result) = ResultFile::read(state.result_path()) else {
            return;
        };
        if let Some(acknowledgement) = Acknowledgement::for_result(result) {
            outbox.send(&acknowledgement.about(state.task())).await;
        }
        pause = schedule.longer(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn schedule() -> Schedule {
        Schedule::new(&UpgradeSettings {
            notification_wait_max: crate::settings::Span::seconds(300),
            ..UpgradeSettings::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_the_longest_until_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        fs::write(&result, "1\n").unwrap();
        let state = Arc::new(State::new(true, result.clone()));
        let log = InstallerLog::new(dir.path().join("log"), 1 << 20);
        let (outbox, mut pending) = Outbox::new(None);
        let begin = Instant::now();
        let running = tokio::spawn(run(Arc::clone(&state), schedule(), log, outbox));
        let mut times = Vec::new();
        while times.len() < 6 {
            pending.changed().await.unwrap();
            let message = pending.borrow_and_update().clone().unwrap();
            assert_eq!(
                &message[..],
                br#"{"command":"upgrade_update_status","parameters":{"error":1,"message":"Upgrade failed due missing dependency","status":"Failed"}}"#
            );
            times.push(begin.elapsed().as_secs());
        }
        assert_eq!(times, [30, 90, 210, 450, 750, 1050]);
        assert!(!state.allows_upgrades());
        state.clear(None).unwrap();
        pending.changed().await.unwrap();
        assert_eq!(
            *pending.borrow_and_update(),
            None,
            "nothing waits after a clear"
        );
        assert!(state.allows_upgrades());

        // The next one begins with the first pause again, wherever it comes from.
        let again = Instant::now();
        state.expect_result();
        fs::write(&result, "0\n").unwrap();
        pending.changed().await.unwrap();
        let waited = again.elapsed().as_secs();
        assert!((30..=60).contains(&waited), "{waited}");
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_goes_away_is_not_reported() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        fs::write(&result, "2").unwrap();
        let state = Arc::new(State::new(true, result.clone()));
        let log = InstallerLog::new(dir.path().join("log"), 1 << 20);
        let (outbox, mut pending) = Outbox::new(None);
        let running = tokio::spawn(run(state, schedule(), log, outbox));
        tokio::time::sleep(Duration::from_secs(10)).await;
        fs::remove_file(&result).unwrap();
        pending.changed().await.unwrap();
        assert_eq!(*pending.borrow_and_update(), None);
        fs::write(&result, "10\n").unwrap();
        let more = tokio::time::timeout(Duration::from_secs(86_400), pending.changed()).await;
        assert!(more.is_err(), "10 is no result");
        running.abort();
    }
}
