//! Results of installers before the last one (`lives`): taken out of the way, and told as
//! their own tasks'.

use tokio::time::{Instant, sleep};
use wpk_wire::Acknowledgement;

use super::schedule::Schedule;
use crate::lives::{LateWord, Life};
use crate::outbox::Outbox;
use crate::result::ResultFile;
use crate::state::State;

pub(super) fn put_aside(state: &State, of: Option<&Life>, found: ResultFile) {
    if let Err(error) = state.put_aside(of, found) {
        let path = state.result_path().display();
        tracing::error!("{path}: the result of an earlier upgrade cannot be put aside: {error}");
    }
}

/// Acknowledges the result of an earlier installer, by its task, until the manager knows
/// or there is a result of the last one. Not to a real agent daemon: its manager would
/// take it for the last one's.
pub(super) async fn deliver(
    state: &State,
    current: &impl Fn() -> Schedule,
    outbox: &Outbox,
    word: LateWord,
) {
    let mut schedule = current();
    let mut pause = schedule.start;
    let mut next = Instant::now() + pause;
    let acknowledgement = Acknowledgement::for_result(word.result);
    while state.late_word() == Some(word) && state.look().found == ResultFile::Absent {
        if Instant::now() >= next {
            if let Some(acknowledgement) = acknowledgement.clone() {
                outbox.send_named(&acknowledgement.about(Some(word.task)));
            }
            next = Instant::now() + pause;
            schedule = current();
            pause = schedule.longer(pause);
        }
        tokio::select! {
            () = sleep(schedule.check.min(next - Instant::now())) => {}
            () = state.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::super::{run, tests::schedule};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_late_result_is_told_as_its_own_tasks() {
        let dir = tempfile::tempdir().unwrap();
        let result = dir.path().join("upgrade_result");
        let state = Arc::new(State::in_folder(dir.path()));
        let (outbox, mut pending) = Outbox::new(None);
        let running = tokio::spawn(run(Arc::clone(&state), schedule, outbox));
        let told = async |pending: &mut crate::outbox::Pending| {
            loop {
                pending.changed().await.unwrap();
                if let Some(bytes) = pending.borrow_and_update().clone() {
                    let told = Acknowledgement::parse(&bytes).unwrap();
                    return (told.error, told.task.map(|task| task.0));
                }
            }
        };
        let late = state.begins(Some(wpk_api::TaskId(7))).unwrap();
        let last = state.begins(Some(wpk_api::TaskId(8))).unwrap();
        fs::write(&result, "1\n").unwrap();
        drop(late);
        assert_eq!(told(&mut pending).await, (Some(1), Some(7)));
        assert!(state.allows_upgrades(), "its place is free");
        // The answer to a word about another task.
        state.clear(Some(wpk_api::TaskId(6))).unwrap();
        assert_eq!(told(&mut pending).await, (Some(1), Some(7)));
        fs::write(&result, "0\n").unwrap();
        drop(last);
        assert_eq!(told(&mut pending).await, (Some(0), Some(8)));
        state.clear(Some(wpk_api::TaskId(8))).unwrap();
        assert_eq!(told(&mut pending).await, (Some(1), Some(7)));
        state.clear(Some(wpk_api::TaskId(7))).unwrap();
        while state.late_word().is_some() {
            tokio::task::yield_now().await;
        }
        assert!(!result.exists());
        running.abort();
    }
}
