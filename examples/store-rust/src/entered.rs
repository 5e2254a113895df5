//! Which run of a daemon has the journal, and what another name left in it. The journal is
//! one daemon's: nobody else lives, so what waits for another node waits for nobody (a node
//! that was renamed).

use std::time::{SystemTime, UNIX_EPOCH};

use wpk_plugin::api::{Incarnation, Task, TaskId, TimelineEntry};

use crate::changes::Entry;
use crate::tasks::Tasks;

impl Tasks {
    /// Counts one more run.
    pub(crate) fn enter(&mut self) -> Incarnation {
        self.incarnation += 1;
        self.incarnation
    }

    pub(crate) fn begun(&self, id: TaskId) -> Option<Incarnation> {
        let entry = self.entries.get(&id).filter(|entry| entry.begun)?;
        // Before there were entries nobody counted.
        Some(entry.begun_in.unwrap_or(0))
    }

    pub(crate) fn orphans(&self, after: TaskId, limit: usize) -> Vec<Task> {
        let Some(node) = &self.entered else {
            return Vec::new();
        };
        let after = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let entries = self.entries.range(after).map(|(_, entry)| entry);
        let left = entries.filter(|entry| is_left(entry, node));
        left.take(limit).map(|entry| entry.task.clone()).collect()
    }

    pub(crate) fn take_over(&mut self, ids: &[TaskId]) -> Vec<TaskId> {
        let Some(node) = self.entered.clone() else {
            return Vec::new();
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs().cast_signed());
        let mut taken = Vec::new();
        for id in ids {
            let left = |entry: &Entry| is_left(entry, &node);
            let moved = self.edit_one(*id, left, |entry| {
                let noted = TimelineEntry::moved(now, &entry.task.node, &node);
                entry.timeline.push(noted);
                entry.task.node.clone_from(&node);
                entry.claimed = false;
            });
            taken.extend(moved.map(|entry| entry.task.id));
        }
        taken
    }
}

/// Whether a task of another name may be taken over.
fn is_left(entry: &Entry, node: &str) -> bool {
    let standing = entry.standing();
    let free = standing.ours && !standing.begun && entry.task.status.is_live();
    free && entry.task.node != node
}
