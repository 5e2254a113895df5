//! What is remembered of tasks for those who look at them: timelines and changes.
//! Never in the way of a task: where it cannot be written the log says so.

use tracing::warn;
use wpk_api::{
    AgentId, Created, Mover, NewTask, Status, Task, TimelineEntry, TimelineStep, Transition,
    TransitionResult, UnixTime,
};

use super::inner::Inner;
use super::words::{Refused, named};

impl Inner {
    /// New tasks, for those who look.
    pub(super) async fn created(&self, new: Vec<NewTask>, created: &[Created]) {
        let (mut tasks, mut entries) = (Vec::new(), Vec::new());
        for (new, created) in new.into_iter().zip(created) {
            let Created::Task(id) = *created else {
                continue;
            };
            entries.push((id, TimelineEntry::new(new.created, TimelineStep::Created)));
            tasks.push(new.task(id));
        }
        let noted = self.local.note(entries).await;
        if let Err(error) = noted.and(self.local.saw(tasks).await) {
            warn!(%error, "the timeline of new tasks cannot be written");
        }
    }

    /// What ran here and ended at the master, for those who look.
    pub(super) async fn ended_there(&self, tasks: Vec<Task>, now: UnixTime) {
        let timed_out = tasks.iter().filter(|task| task.status == Status::Timeout);
        let entry = |task: &Task| {
            let at = task.updated.unwrap_or(now);
            (task.id, TimelineEntry::new(at, TimelineStep::Timeout))
        };
        let noted = self.local.note(timed_out.map(entry).collect()).await;
        if let Err(error) = noted.and(self.local.saw(tasks).await) {
            warn!(%error, "the timeline of tasks that ended at the master cannot be written");
        }
    }

    /// What moved, for those who look. The master has moved it whatever our own
    /// file says, so a failure of that is no failure of the move.
    pub(super) async fn remember(
        &self,
        group: &[(Option<AgentId>, Transition)],
        results: &[TransitionResult],
    ) {
        let (mut tasks, mut entries, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for ((agent, one), result) in group.iter().zip(results) {
            match (result, *agent, &one.entry) {
                (TransitionResult::Moved(task), _, entry) => {
                    tasks.push(task.clone());
                    entries.extend(entry.clone().map(|entry| (task.id, entry)));
                }
                (TransitionResult::Refused(task), Some(agent), Some(entry))
                    if one.by == Mover::Report =>
                {
                    let timed_out = |task: &&Task| task.status == Status::Timeout;
                    words.push(Refused {
                        agent,
                        named: named(one),
                        timed_out: task.as_ref().filter(timed_out).map(|task| task.id),
                        entry: entry.clone(),
                    });
                }
                (TransitionResult::Refused(_), _, _) => {}
            }
        }
        if let Err(error) = self.local.keep_words(words).await {
            warn!(%error, "a word that the master does not take cannot be kept");
        }
        if let Err(error) = self.local.ended(&tasks).await {
            warn!(%error, "whether agents run what they were sent cannot be checked");
        }
        let noted = self.local.note(entries).await;
        if let Err(error) = noted.and(self.local.saw(tasks).await) {
            warn!(%error, "the timeline of tasks cannot be written");
        }
    }
}
