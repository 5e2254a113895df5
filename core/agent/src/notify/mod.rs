//! The notification loop (section 7): looks for the result of an upgrade and
//! acknowledges it with growing pauses until the manager has it cleared.
//!
//! It runs from start to end of the agent, because an installer may restart the
//! agent or not, and may take longer than anybody thought.

use std::path::Path;
mod late;
mod schedule;

use std::sync::Arc;

use tokio::time::{Instant, sleep};
use wpk_wire::Acknowledgement;

use crate::lives::{LateWord, Whose};
use crate::outbox::Outbox;
use crate::reason;
use crate::result::ResultFile;
use crate::state::State;

pub(crate) use schedule::Schedule;

/// Runs for ever; `schedule` is asked again now and then.
pub(crate) async fn run(state: Arc<State>, schedule: impl Fn() -> Schedule, outbox: Outbox) {
    loop {
        let mut first = None;
        match look(&state, &schedule).await {
            Found::Result(result) => {
                tracing::info!("an upgrade ended with result {result}; the manager will be told");
                first = Some(result);
            }
            Found::Trouble(trouble) => tracing::error!(
                "{}: {trouble}; the upgrade is reported as failed",
                state.result_path().display()
            ),
            Found::Late(word) => {
                late::deliver(&state, &schedule, &outbox, word).await;
                outbox.clear();
                continue;
            }
        }
        state.tells(true);
        deliver(&state, &schedule, &outbox, first).await;
        state.tells(false);
        outbox.clear();
    }
}

/// What there is to tell.
enum Found {
    Result(u8),
    /// Something that stayed none for as long as it may.
    Trouble(&'static str),
    /// The result of an installer before the last one.
    Late(LateWord),
}

/// Waits for a result.
async fn look(state: &State, current: &impl Fn() -> Schedule) -> Found {
    let mut schedule = current();
    let mut closely = Instant::now() + schedule.wait;
    let (mut troubled, mut unclear) = (None, None);
    loop {
        let look = state.look();
        let now = Instant::now();
        let mine = match look.whose() {
            _ if look.found == ResultFile::Absent => true,
            Whose::Last => true,
            Whose::Earlier(life) => {
                // Where the disk refuses, it is tried again with the next look.
                late::put_aside(state, Some(&life), look.found);
                false
            }
            // Whoever ends first has written it.
            Whose::Unclear if now < *unclear.get_or_insert(now + schedule.grace) => false,
            Whose::Unclear => {
                late::put_aside(state, None, look.found);
                false
            }
        };
        match look.found {
            ResultFile::Result(result) if mine => return Found::Result(result),
            ResultFile::Absent => unclear = None,
            _ => {}
        }
        if let Some(word) = state.late_word() {
            return Found::Late(word);
        }
        let mut pause = if now < closely || look.late() {
            schedule.check
        } else {
            schedule.wait.max(schedule.check)
        };
        if let Some(trouble) = look.found.trouble().filter(|_| mine) {
            let end = *troubled.get_or_insert(now + schedule.grace);
            if now >= end {
                return Found::Trouble(trouble);
            }
            pause = pause.min(end - now);
        } else {
            troubled = None;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = state.changed() => {
                schedule = current();
                closely = Instant::now() + schedule.wait;
                troubled = None;
            }
        }
    }
}

/// Acknowledges until the file is gone. `first` is what it said when it was found: where
/// an installer of before still works, that may write into it later.
async fn deliver(
    state: &State,
    current: &impl Fn() -> Schedule,
    outbox: &Outbox,
    first: Option<u8>,
) {
    let mut schedule = current();
    let mut pause = schedule.start;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            // Cleared; a result that is there already again starts anew.
            () = state.changed() => return,
        }
        // Before the look: a task that begins meanwhile is not the one whose result is seen.
        let task = state.task();
        let look = state.look();
        let acknowledgement = match (look.found, first) {
            (ResultFile::Absent, _) => return,
            (_, Some(first)) if look.late() => Acknowledgement::for_result(first),
            (found, _) => report(found, state.result_path()),
        };
        if let Some(acknowledgement) = acknowledgement {
            outbox.send(&acknowledgement.about(task)).await;
        }
        schedule = current();
        pause = schedule.longer(pause);
    }
}

fn report(found: ResultFile, path: &Path) -> Option<Acknowledgement> {
    match (found, found.trouble()) {
        (ResultFile::Result(0), _) => Acknowledgement::for_result(0),
        (ResultFile::Result(result), _) => match reason::read(path) {
            Some(reason) => failed(result, &reason),
            None => Acknowledgement::for_result(result),
        },
        (_, trouble) => failed(2, trouble.unwrap_or_default()),
    }
}

/// The report of a failure with its reason, the installer's or ours.
fn failed(result: u8, reason: &str) -> Option<Acknowledgement> {
    let mut acknowledgement = Acknowledgement::for_result(result)?;
    acknowledgement.message = acknowledgement
        .message
        .map(|message| format!("{message}: {reason}"));
    Some(acknowledgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::UpgradeSettings;
    use std::fs;
    use std::time::Duration;

    pub(super) fn schedule() -> Schedule {
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
        let state = Arc::new(State::in_folder(dir.path()));
        let (outbox, mut pending) = Outbox::new(None);
        let begin = Instant::now();
        let running = tokio::spawn(run(Arc::clone(&state), schedule, outbox));
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
        let state = Arc::new(State::in_folder(dir.path()));
        let (outbox, mut pending) = Outbox::new(None);
        let running = tokio::spawn(run(state, schedule, outbox));
        tokio::time::sleep(Duration::from_secs(10)).await;
        fs::remove_file(&result).unwrap();
        pending.changed().await.unwrap();
        assert_eq!(*pending.borrow_and_update(), None);
        running.abort();
    }

    /// What stands in the place of a result, as [`ResultFile`] may find it.
    fn put_nothing_good(result: &std::path::Path, what: &str) {
        match what {
            "an empty file" => fs::write(result, "").unwrap(),
            "other words" => fs::write(result, "10\n").unwrap(),
            "a folder" => fs::create_dir_all(result.join("deep")).unwrap(),
            _ => crate::platform::files::make_pipe(result),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_no_result_is_reported_as_failed() {
        for what in ["an empty file", "other words", "a folder", "a pipe"] {
            let dir = tempfile::tempdir().unwrap();
            let result = dir.path().join("upgrade_result");
            let state = Arc::new(State::in_folder(dir.path()));
            state.begins(Some(wpk_api::TaskId(7))).unwrap();
            let (outbox, mut pending) = Outbox::new(None);
            let begin = Instant::now();
            let running = tokio::spawn(run(Arc::clone(&state), schedule, outbox));
            put_nothing_good(&result, what);
            pending.changed().await.unwrap();
            let waited = begin.elapsed().as_secs();
            assert!((90..=91).contains(&waited), "{what}: {waited}");
            let told = pending.borrow_and_update().clone().unwrap();
            let told = Acknowledgement::parse(&told).unwrap();
            assert_eq!((told.error, told.task), (Some(2), Some(wpk_api::TaskId(7))));
            let message = told.message.unwrap();
            assert!(message.contains("upgrade_result"), "{message}");
            assert!(!state.allows_upgrades(), "{what}");
            state.clear(Some(wpk_api::TaskId(7))).unwrap();
            assert!(state.allows_upgrades(), "{what}");
            assert!(!result.exists(), "{what}");
            running.abort();
        }
    }

    #[test]
    fn the_installers_reason_is_told_with_a_failure_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade_result");
        let message = |result| report(ResultFile::Result(result), &path)?.message;
        assert_eq!(message(2).as_deref(), Some("Upgrade failed"));
        fs::write(dir.path().join("upgrade_reason"), "no room\n").unwrap();
        assert_eq!(message(2).as_deref(), Some("Upgrade failed: no room"));
        assert!(message(1).unwrap().ends_with("dependency: no room"));
        assert_eq!(message(0).as_deref(), Some("Upgrade was successful"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_is_just_being_written_is_given_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        let state = Arc::new(State::in_folder(dir.path()));
        let (outbox, mut pending) = Outbox::new(None);
        let running = tokio::spawn(run(Arc::clone(&state), schedule, outbox));
        fs::write(&result, "").unwrap();
        tokio::time::sleep(Duration::from_secs(59)).await;
        fs::write(&result, "0\n").unwrap();
        pending.changed().await.unwrap();
        let told = pending.borrow_and_update().clone().unwrap();
        let told = Acknowledgement::parse(&told).unwrap();
        assert_eq!(told.error, Some(0));
        running.abort();
    }
}
