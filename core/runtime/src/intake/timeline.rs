//! `upgrade_timeline`: what happened to tasks, step by step, and why those that
//! failed did. Ours; a 4.x manager does not know it.

use tracing::error;
use wpk_api::{AgentId, Status, StoreError, Task, TaskId, TimelineEntry, TimelineStep};
use wpk_wire::own::{AskTimeline, TaskTimeline, TimelineLine};
use wpk_wire::task::TaskTimes;
use wpk_wire::{AskedId, Dialect, Item, Refusal, Response, TaskCode, UpgradeCode};

use super::result;
use crate::workshop::Workshop;

/// Bytes of an entry on the wire beside its texts.
const FRAME: usize = 192;

/// One item per agent and per task, in the order asked, as many as fit.
pub(super) async fn answer(workshop: &Workshop, asked: AskTimeline) -> Result<Response, Refusal> {
    collect(workshop, asked).await.map_err(|error| {
        error!(%error, "timelines cannot be read");
        Refusal::upgrade(UpgradeCode::TaskManagerCommunication)
    })
}

async fn collect(workshop: &Workshop, asked: AskTimeline) -> Result<Response, StoreError> {
    let store = workshop.store();
    let dialect = workshop.settings.dialect;
    let show = Show::new(dialect, asked.entries.unwrap_or(usize::MAX));
    let newest = store.latest(&asked.agents).await?;
    let named = match asked.tasks.as_slice() {
        [] => Vec::new(),
        tasks => store.tasks(tasks).await?,
    };
    let of_agents = asked.agents.into_iter().map(Wanted::NewestOf).zip(newest);
    let by_id = asked.tasks.into_iter().map(Wanted::Task).zip(named);
    let (mut items, mut size) = (Vec::new(), 0);
    for (wanted, found) in of_agents.chain(by_id) {
        if size >= AskTimeline::LONGEST_ANSWER {
            break;
        }
        items.push(match found {
            None => wanted.without(),
            Some(task) => {
                let timeline = store.timeline(task.id).await?;
                let told = show.told(&task, &timeline);
                size += show.bytes(&told);
                told.to_item(show.result(task))
            }
        });
    }
    Ok(Response::success(items))
}

/// What was asked about.
enum Wanted {
    NewestOf(AgentId),
    Task(TaskId),
}

impl Wanted {
    /// The item where there is no such task.
    fn without(self) -> Item {
        match self {
            Self::NewestOf(agent) => Item::task(TaskCode::NoTask, agent),
            Self::Task(task) => Item {
                task_id: Some(task),
                ..Item::of_request(TaskCode::NoTask)
            },
        }
    }
}

/// How tasks are shown.
pub(super) struct Show {
    dialect: Dialect,
    times: TaskTimes,
    /// The most entries of each.
    entries: usize,
}

impl Show {
    /// With the newest entries, at most so many of each task.
    pub(super) fn new(dialect: Dialect, entries: usize) -> Self {
        Self {
            dialect,
            times: TaskTimes::new(dialect),
            entries,
        }
    }

    /// What happened to a task.
    pub(super) fn told(&self, task: &Task, timeline: &[TimelineEntry]) -> TaskTimeline {
        let older = timeline.len().saturating_sub(self.entries);
        let lines = timeline.iter().skip(older);
        TaskTimeline {
            late: (timeline.iter().rev()).any(|entry| entry.step == TimelineStep::LateReport),
            cause: cause(&task.status, timeline).map(|entry| self.line(entry.clone())),
            timeline: lines.map(|entry| self.line(entry.clone())).collect(),
            older,
            confirmation: task.confirmation.clone(),
            ..TaskTimeline::new(task.agent, task.id)
        }
    }

    /// At least as many bytes as its entries have on the wire.
    pub(super) fn bytes(&self, told: &TaskTimeline) -> usize {
        told.timeline.iter().chain(&told.cause).map(bytes).sum()
    }

    /// The item of its result.
    pub(super) fn result(&self, task: Task) -> Item {
        let id = AskedId::from(task.agent);
        result::show(id, task, self.dialect, &self.times)
    }

    fn line(&self, entry: TimelineEntry) -> TimelineLine {
        TimelineLine {
            time: self.times.create(entry.at),
            entry,
        }
    }
}

/// The entry that says why a task failed or timed out. A failure is told in the
/// move that ends the task, so it is the last entry: an earlier one is that of an
/// attempt before. A time-out has no words of its own: what went wrong last is what
/// is known about it.
fn cause<'a>(status: &Status, timeline: &'a [TimelineEntry]) -> Option<&'a TimelineEntry> {
    let failed = |entry: &&TimelineEntry| entry.failure.is_some();
    match status {
        Status::Failed => timeline.last().filter(failed),
        Status::Timeout => timeline.iter().rev().find(failed),
        _ => None,
    }
}

/// At least as many bytes as an entry has on the wire: no text of it holds
/// anything of which JSON would make more than two bytes.
fn bytes(line: &TimelineLine) -> usize {
    let entry = &line.entry;
    let texts = [entry.asked.as_ref(), entry.detail.as_ref()];
    let cause = entry
        .failure
        .iter()
        .flat_map(|cause| [&cause.said, &cause.advice]);
    let texts = texts.into_iter().flatten().chain(cause);
    FRAME + 2 * texts.map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::Cause;

    fn failed(code: u16) -> TimelineEntry {
        TimelineEntry::new(1, TimelineStep::Open).failed(Cause::new(code, "no", "ask again"))
    }

    fn code(status: Status, timeline: &[TimelineEntry]) -> Option<u16> {
        let cause = cause(&status, timeline)?.failure.as_ref()?;
        Some(cause.code)
    }

    #[test]
    fn the_cause_is_that_of_the_end() {
        let plain = TimelineEntry::new(2, TimelineStep::Timeout);
        let retried = [failed(19), failed(23)];
        assert_eq!(code(Status::Failed, &retried), Some(23));
        // Another program ended it and did not say why.
        let elsewhere = [failed(19), plain.clone()];
        assert_eq!(code(Status::Failed, &elsewhere), None);
        assert_eq!(code(Status::Timeout, &elsewhere), Some(19));
        for well in [Status::Done, Status::InProgress, Status::Legacy] {
            assert_eq!(code(well, &retried), None);
        }
        assert_eq!(code(Status::Failed, &[]), None);
    }

    #[test]
    fn an_entry_is_never_longer_than_counted() {
        let told = TimelineEntry::new(i64::MIN, TimelineStep::LockRestart)
            .asked(&"\"".repeat(600))
            .detail(&"\u{1b}".repeat(600))
            .failed(Cause::new(u16::MAX, &"\\".repeat(3_000), "\"".repeat(100)));
        let line = TimelineLine {
            time: "x".repeat(20),
            entry: told,
        };
        let json = serde_json::to_vec(&line).unwrap();
        assert!(
            json.len() <= bytes(&line),
            "{} > {}",
            json.len(),
            bytes(&line)
        );
    }
}
