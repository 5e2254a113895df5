//! The feed of changes over the map of [`Tables`], and how far its readers have come.

use wpk_api::{Change, Changed, Revision};

use super::tables::{Row, Tables};

impl Tables {
    pub(super) fn tell(&mut self, changed: Changed) {
        let revision = Revision(self.revision().0 + 1);
        self.changes.push(Change {
            revision,
            changed,
            was: None,
        });
    }

    /// Tells that a row is deleted.
    pub(super) fn tell_of_end(&mut self, row: Row) {
        self.tell(Changed::Deleted(row.task.id));
        if let Some(last) = self.changes.last_mut() {
            last.was = row.shown.is_none().then_some(row.task);
        }
    }

    /// See [`wpk_api::TaskStore::changes`].
    pub fn changes(&self, after: Revision, limit: usize) -> Vec<Change> {
        let newer = self.changes.iter().filter(|change| change.revision > after);
        newer.take(limit).cloned().collect()
    }

    /// Forgets changes up to this one, as a store may whose readers have passed them.
    pub fn forget_changes(&mut self, until: Revision) {
        self.changes.retain(|change| change.revision > until);
    }

    /// See [`wpk_api::TaskStore::revision`].
    pub fn revision(&self) -> Revision {
        self.changes
            .last()
            .map_or(Revision(0), |last| last.revision)
    }

    /// See [`wpk_api::TaskStore::place`].
    pub fn place(&self, reader: &str) -> Revision {
        self.places.get(reader).copied().unwrap_or_default()
    }

    /// See [`wpk_api::TaskStore::keep_readers`].
    pub fn keep_readers(&mut self, names: &[String]) {
        self.places.retain(|name, _| names.contains(name));
    }

    /// See [`wpk_api::TaskStore::set_place`]. `false`: no name of a reader.
    pub fn set_place(&mut self, reader: &str, place: Revision) -> bool {
        if !(1..=64).contains(&reader.len()) {
            return false;
        }
        let known = self.places.entry(reader.to_owned()).or_default();
        *known = place.max(*known);
        true
    }
}
