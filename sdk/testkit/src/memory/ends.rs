//! How tasks end and go, over the map of [`Tables`].

use std::collections::HashSet;

use wpk_api::{
    Cancel, Mover, Overdue, Status, Task, TaskId, TimelineEntry, TimelineStep, UnixTime,
};

use super::tables::{Row, Tables, gives_way, id, waits};

impl Tables {
    /// See [`wpk_api::TaskStore::cancel`].
    pub fn cancel(&mut self, node: &str, which: Cancel, now: UnixTime) -> u64 {
        let meant = |row: &&Row| {
            let waits = row.task.status == Status::Pending;
            let without = waits && !row.standing.ours && !row.held;
            row.task.node == node
                && self.carries_out(row)
                && row
                    .task
                    .status
                    .may_become(&Status::Cancelled, row.standing, Mover::Delivery)
                && match which {
                    Cancel::WithoutOrder => without,
                    Cancel::Abandoned => without && row.shown.is_none(),
                    Cancel::Pending => waits,
                    Cancel::NotBegun => true,
                }
        };
        let ids: Vec<_> = self.rows.values().filter(meant).map(id).collect();
        for id in &ids {
            self.change(*id, |row| {
                row.task.status = Status::Cancelled;
                row.task.updated = Some(now);
                row.timeline
                    .push(TimelineEntry::new(now, TimelineStep::Cancelled));
            });
        }
        ids.len() as u64
    }

    /// See [`wpk_api::TaskStore::withdraw`].
    pub fn withdraw(&mut self, tasks: &[TaskId]) -> u64 {
        let deleted = |id: &&TaskId| self.delete(**id, gives_way);
        tasks.iter().filter(deleted).count() as u64
    }

    fn delete(&mut self, id: TaskId, meant: impl Fn(&Row) -> bool) -> bool {
        if !self.rows.get(&id).is_some_and(meant) {
            return false;
        }
        if let Some(row) = self.rows.remove(&id) {
            self.tell_of_end(row);
        }
        true
    }

    /// See [`wpk_api::TaskStore::expire`].
    pub fn expire(&mut self, overdue: &[Overdue], now: UnixTime) -> Vec<Task> {
        let mut expired = Vec::new();
        for one in overdue {
            let silent = |row: &Row| {
                let task = &row.task;
                task.status == Status::InProgress && task.updated == one.updated && !waits(row)
            };
            if self.rows.get(&one.task).is_some_and(silent) {
                expired.extend(self.change(one.task, |row| {
                    row.task.status = Status::Timeout;
                    row.task.updated = Some(now);
                    row.timeline
                        .push(TimelineEntry::new(now, TimelineStep::Timeout));
                }));
            }
        }
        expired
    }

    /// See [`wpk_api::TaskStore::purge`].
    pub fn purge(&mut self, created_until: UnixTime) -> u64 {
        let old = |row: &Row| row.task.created <= created_until && !row.task.status.is_live();
        let kept = |row: &&Row| self.documents.keeps(row.fence.as_deref());
        let kept: HashSet<TaskId> = self.rows.values().filter(kept).map(id).collect();
        let ids: Vec<_> = self.rows.keys().copied().collect();
        let goes = |id: &TaskId| {
            !kept.contains(id) && !self.shields_an_older_one(*id) && self.delete(*id, old)
        };
        ids.into_iter().filter(goes).count() as u64
    }

    /// Whether a word about this task would be about an older one if it were gone.
    fn shields_an_older_one(&self, id: TaskId) -> bool {
        let takes = |row: &Row| matches!(row.task.status, Status::InProgress | Status::Timeout);
        let agent = self.rows.get(&id).map(|row| row.task.agent);
        let mut older = self.rows.range(..id).map(|(_, row)| row);
        older.any(|row| Some(row.task.agent) == agent && takes(row))
    }
}
