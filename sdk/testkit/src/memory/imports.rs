//! Tasks that somebody else made, taken over: what [`wpk_api::TaskStore::import`] asks
//! for, over the map of [`Tables`].

use wpk_api::{Changed, Imported, Mover, Standing, Task, TaskId};

use super::tables::{Row, Tables};

impl Tables {
    /// See [`wpk_api::TaskStore::import`].
    pub fn import(&mut self, shown: Vec<Task>) -> Vec<Imported> {
        let highest = shown.iter().map(|task| task.id.0).max().unwrap_or(0);
        let imported = shown
            .into_iter()
            .map(|task| self.import_one(task))
            .collect();
        self.last = self.last.max(highest);
        imported
    }

    fn import_one(&mut self, shown: Task) -> Imported {
        let same = |row: &&Row| row.task.is_same_as(&shown);
        let before = |row: &&Row| same(row) && row.shown == Some(shown.id);
        if let Some(id) = self.rows.values().find(before).map(|row| row.task.id) {
            return self.follow(id, shown);
        }
        let own = |row: &&Row| {
            let id = row.task.id;
            let found = self.moved.get(&id) == Some(&shown.id);
            let there = id == shown.id || found || self.is_displaced(id);
            same(row) && row.shown.is_none() && there
        };
        let mut all = self.rows.values();
        let own_at_its_id = self.rows.get(&shown.id).filter(|row| own(row));
        if let Some(row) = own_at_its_id.or_else(|| all.find(own)) {
            let id = row.task.id;
            if id != shown.id {
                self.moved.insert(id, shown.id);
            }
            return Imported::Own(id);
        }
        if self.was_deleted(&shown) {
            return Imported::Deleted;
        }
        let id = match self.rows.contains_key(&shown.id) {
            true => TaskId(self.last + 1),
            false => shown.id,
        };
        self.last = self.last.max(id.0);
        self.put(Row::imported(id, shown));
        Imported::New(id)
    }

    fn follow(&mut self, id: TaskId, shown: Task) -> Imported {
        let may = |row: &Row| {
            let status = &row.task.status;
            status.may_become(&shown.status, Standing::default(), Mover::Report)
        };
        if !self.rows.get(&id).is_some_and(may) {
            return Imported::Unchanged(id);
        }
        self.change(id, |row| {
            row.task.status = shown.status;
            row.task.updated = shown.updated;
            row.task.error_msg = shown.error_msg;
        });
        Imported::Followed(id)
    }

    /// Whether something else is shown under the id of a task: one of somebody else, or
    /// one of ours whose own id was taken in turn.
    fn is_displaced(&self, id: TaskId) -> bool {
        let mut rows = self.rows.values();
        let by_others = rows.any(|row| row.shown == Some(id) && row.task.id != id);
        by_others || self.moved.values().any(|shown| *shown == id)
    }

    /// Whether a task was deleted, and not every known reader has heard of it.
    fn was_deleted(&self, task: &Task) -> bool {
        let passed = self.places.values().min();
        self.changes.iter().any(|change| {
            change.changed == Changed::Deleted(task.id)
                && passed.is_some_and(|passed| change.revision > *passed)
                && (change.was.as_ref()).is_some_and(|was| was.is_same_as(task))
        })
    }
}
