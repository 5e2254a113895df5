//! What of a node whose lease ran out may be taken over, and what a node gives away, over
//! the map of [`Tables`].

use wpk_api::{Entrance, Entry, Holder, Incarnation, Task, TaskId, TimelineEntry};

use super::entries::Mine;
use super::tables::{Row, Tables, id};

impl Tables {
    /// Whoever calls enters a store that is one daemon's ([`wpk_api::TaskStore::enter`]).
    pub fn enter(&mut self, node: &str) {
        let entry = Entry {
            node: node.to_owned(),
            holder: Holder::default(),
            replaces: None,
        };
        if let Entrance::Entered(entered) = self.entries.enter(&entry) {
            self.entries.call(Some(Mine {
                node: entry.node,
                incarnation: entered.incarnation,
            }));
        }
    }

    /// See [`wpk_api::TaskStore::orphans`].
    pub fn orphans(&self, after: TaskId, limit: usize) -> Vec<Task> {
        let rows = self.rows.values().filter(|row| row.task.id > after);
        rows.filter(|row| self.is_orphan(row))
            .take(limit)
            .map(|row| row.task.clone())
            .collect()
    }

    fn is_orphan(&self, row: &Row) -> bool {
        let Some(caller) = self.entries.caller() else {
            return false;
        };
        let free = row.standing.ours && !row.standing.begun && row.task.status.is_live();
        free && row.task.node != caller && !self.entries.lives(&row.task.node)
    }

    /// See [`wpk_api::TaskStore::take_over`].
    pub fn take_over(&mut self, tasks: &[TaskId]) -> Vec<TaskId> {
        let Some(caller) = self.entries.caller().map(str::to_owned) else {
            return Vec::new();
        };
        self.move_to(&caller, tasks, Self::is_orphan)
    }

    /// See [`wpk_api::TaskStore::hand_over`].
    pub fn hand_over(&mut self, tasks: &[TaskId], to: &str) -> Vec<TaskId> {
        let caller = self.entries.caller();
        if caller.is_none_or(|caller| caller == to) || !self.entries.lives(to) {
            return Vec::new();
        }
        self.move_to(to, tasks, |tables, row| {
            let free = row.standing.ours && !row.standing.begun && row.task.status.is_live();
            free && tables.entries.caller() == Some(&row.task.node)
        })
    }

    fn move_to(
        &mut self,
        node: &str,
        tasks: &[TaskId],
        may: impl Fn(&Self, &Row) -> bool,
    ) -> Vec<TaskId> {
        let now = self.entries.now();
        let mut moved = Vec::new();
        for task in tasks {
            let Some(row) = self.rows.get(task).filter(|row| may(self, row)) else {
                continue;
            };
            moved.push(id(row));
            self.change(*task, |row| {
                let entry = TimelineEntry::moved(now, &row.task.node, node);
                row.timeline.push(entry);
                row.task.node = node.to_owned();
                row.claimed = false;
            });
        }
        moved
    }

    /// See [`wpk_api::TaskStore::begun`].
    pub fn begun(&self, task: TaskId) -> Option<Incarnation> {
        self.rows.get(&task)?.begun_in
    }
}
