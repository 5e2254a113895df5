//! Words of agents that the master does not take: its task timed out, or is not its
//! newest any more. They stay in the timeline of the task they are about, which this
//! node began; nothing is told of it as a change, since the task stays as it is.

use rusqlite::{Connection, OptionalExtension, params};
use wpk_api::{AgentId, Selector, StoreError, TaskId, TimelineEntry, TimelineStep, Transition};

use super::history;
use super::local::Local;

/// A word that the master refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) agent: AgentId,
    /// The task that the word names, if it names one.
    pub(super) named: Option<TaskId>,
    /// The task of the agent that the master has as timed out, if it is its newest.
    pub(super) timed_out: Option<TaskId>,
    /// The word.
    pub(super) entry: TimelineEntry,
}

/// The task that a move names.
pub(super) const fn named(one: &Transition) -> Option<TaskId> {
    match one.select {
        Selector::Task(task) | Selector::TaskOf { task, .. } => Some(task),
        Selector::LatestOf(_) | Selector::SpokenOf(_) => None,
    }
}

impl Local {
    /// Keeps the words about tasks that were begun here and whose end nobody told.
    pub(super) async fn keep_words(&self, words: Vec<Refused>) -> Result<(), StoreError> {
        if words.is_empty() {
            return Ok(());
        }
        self.run(move |connection| {
            for word in &words {
                keep(connection, word)?;
            }
            Ok(())
        })
        .await
    }
}

fn keep(connection: &Connection, word: &Refused) -> rusqlite::Result<()> {
    // As everywhere: a word that names no task is about the newest that was begun.
    let begun: Option<i64> = connection
        .prepare_cached(
            "SELECT TASK_ID FROM WORKER_BEGUN WHERE AGENT_ID = ?1 \
             AND (?2 IS NULL OR TASK_ID = ?2) ORDER BY TASK_ID DESC LIMIT 1",
        )?
        .query_row(
            params![word.agent.get(), word.named.map(|task| task.0)],
            |row| row.get(0),
        )
        .optional()?;
    let Some(task) = begun.map(TaskId) else {
        return Ok(());
    };
    if has_ended(&history::of(connection, task)?, &word.entry) {
        return Ok(());
    }
    let runs = connection
        .prepare_cached("SELECT 1 FROM WORKER_TASKS WHERE TASK_ID = ?1")?
        .exists([task.0])?;
    let late = !runs || word.timed_out == Some(task);
    history::add(connection, task, &word.entry.clone().of_late(late))
}

/// Whether the end of a begun task is in its timeline already, or this very word: an
/// agent repeats itself.
fn has_ended(timeline: &[TimelineEntry], word: &TimelineEntry) -> bool {
    let begun = timeline
        .iter()
        .rposition(|entry| entry.step == TimelineStep::Created);
    let since = timeline.get(begun.unwrap_or(0)..).unwrap_or_default();
    let begun = since
        .iter()
        .position(|entry| entry.step == TimelineStep::Upgrade);
    let since = since.get(begun.unwrap_or(0)..).unwrap_or_default();
    since.iter().any(|entry| match entry.step {
        TimelineStep::Report => true,
        TimelineStep::LateReport => {
            (&entry.detail, &entry.failure) == (&word.detail, &word.failure)
        }
        // The delivery ended it.
        _ => entry.failure.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::Cause;

    fn at(step: TimelineStep) -> TimelineEntry {
        TimelineEntry::new(1, step)
    }

    #[test]
    fn a_word_is_kept_once_and_only_where_no_end_is_known() {
        use TimelineStep::{Created, LateReport, Report, Resolve, Upgrade};
        let failed = |step| at(step).failed(Cause::new(19, "no", ""));
        let word = at(Report).detail("done");
        let begun = [at(Created), failed(Resolve), at(Upgrade)];
        assert!(!has_ended(&begun, &word), "an attempt before failed");
        for (last, ended) in [
            (at(Report).detail("other"), true),
            (at(LateReport).detail("done"), true),
            (failed(LateReport), false),
            (failed(Upgrade), true),
        ] {
            let timeline = [begun.to_vec(), vec![last.clone()]].concat();
            assert_eq!(has_ended(&timeline, &word), ended, "{last:?}");
            // A master that began its table anew gives an id again.
            let again = [timeline, begun.to_vec()].concat();
            assert!(!has_ended(&again, &word), "{last:?}");
        }
    }
}
