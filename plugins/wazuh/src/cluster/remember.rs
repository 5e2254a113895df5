//! What is remembered of tasks for those who look at them: timelines and changes.
//! Never in the way of a task: where it cannot be written the log says so.

use tracing::warn;
use wpk_api::{
    AgentId, Created, Mover, NewTask, Status, TimelineEntry, TimelineStep, Transition,
    TransitionResult,
};

use super::inner::Inner;

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

    /// What moved, for those who look. The master has moved it whatever our own
    /// file says, so a failure of that is no failure of the move.
    pub(super) async fn remember(
        &self,
        group: &[(Option<AgentId>, Transition)],
        results: &[TransitionResult],
    ) {
        let (mut tasks, mut entries) = (Vec::new(), Vec::new());
        for ((_, one), result) in group.iter().zip(results) {
            match result {
                TransitionResult::Moved(task) => {
                    tasks.push(task.clone());
                    entries.extend(one.entry.clone().map(|entry| (task.id, entry)));
                }
                // A word that the master does not take stays here.
                TransitionResult::Refused(Some(task)) if one.by == Mover::Report => {
                    let late = one.entry.clone();
                    let late = late.filter(|_| task.status == Status::Timeout);
                    entries.extend(late.map(|entry| (task.id, entry.of_late(true))));
                }
                TransitionResult::Refused(_) => {}
            }
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
