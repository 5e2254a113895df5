//! The feed of changes, and how far its readers have come.

use std::collections::BTreeMap;

use wpk_plugin::api::{Change, Changed, Revision, Task, TaskId};

/// The feed. What a call adds counts only once it is kept.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    changes: Vec<Change>,
    places: BTreeMap<String, Revision>,
    last: Revision,
    /// What was there before the call that is under way.
    kept: usize,
    last_kept: Revision,
    moved: BTreeMap<String, Revision>,
}

impl Feed {
    /// A task is like this now.
    pub(crate) fn task(&mut self, task: &Task) {
        self.add(Changed::Task(task.clone()));
    }

    /// A task is gone.
    pub(crate) fn deleted(&mut self, id: TaskId) {
        self.add(Changed::Deleted(id));
    }

    fn add(&mut self, changed: Changed) {
        self.last = Revision(self.last.0 + 1);
        let revision = self.last;
        self.changes.push(Change {
            revision,
            changed,
            was: None,
        });
    }

    /// What a line of the journal says.
    pub(crate) fn apply(&mut self, changes: Vec<Change>, places: BTreeMap<String, Revision>) {
        self.changes.extend(changes);
        self.last = self.changes.last().map_or(self.last, |last| last.revision);
        self.places.extend(places);
        self.keep();
    }

    /// What the call under way added.
    pub(crate) fn added(&self) -> (Vec<Change>, BTreeMap<String, Revision>) {
        let added = self.changes.get(self.kept..).unwrap_or_default();
        (added.to_vec(), self.moved.clone())
    }

    /// Everything.
    pub(crate) fn all(&self) -> (Vec<Change>, BTreeMap<String, Revision>) {
        (self.changes.clone(), self.places.clone())
    }

    /// The call is on disk.
    pub(crate) fn keep(&mut self) {
        self.places.append(&mut self.moved);
        self.kept = self.changes.len();
        self.last_kept = self.last;
    }

    /// The call did not happen.
    pub(crate) fn undo(&mut self) {
        self.moved.clear();
        self.changes.truncate(self.kept);
        self.last = self.last_kept;
    }

    /// Forgets what tells of tasks that are not there, as far as every known
    /// reader has passed it; the last change stays, for its number.
    pub(crate) fn forget(&mut self, there: impl Fn(TaskId) -> bool) {
        let passed = self.places.values().min().copied();
        let last = self.last;
        self.changes.retain(|change| {
            let id = match &change.changed {
                Changed::Task(task) | Changed::Foreign(task) => task.id,
                Changed::Deleted(id) => *id,
            };
            let unread = passed.is_some_and(|passed| change.revision > passed);
            there(id) || unread || change.revision == last
        });
        self.kept = self.changes.len();
    }

    pub(crate) fn after(&self, after: Revision, limit: usize) -> Vec<Change> {
        let from = self.changes.partition_point(|one| one.revision <= after);
        let newer = self.changes.iter().skip(from);
        newer.take(limit).cloned().collect()
    }

    pub(crate) fn revision(&self) -> Revision {
        self.last
    }

    pub(crate) fn place(&self, reader: &str) -> Revision {
        self.places.get(reader).copied().unwrap_or_default()
    }

    pub(crate) fn set_place(&mut self, reader: &str, place: Revision) {
        let place = place.max(self.place(reader));
        self.moved.insert(reader.to_owned(), place);
    }
}
