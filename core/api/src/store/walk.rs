//! Every document read, for stores that know no better way to find those since a version.

use crate::Document;

/// Documents read at a time.
pub(super) const PAGE: usize = 1_000;

/// Those above a version, found page by page.
pub(super) struct Walk {
    after: u64,
    last: String,
    found: Vec<Document>,
}

impl Walk {
    pub(super) fn after(version: u64) -> Self {
        Self {
            after: version,
            last: String::new(),
            found: Vec::new(),
        }
    }

    /// The key behind which the next page begins.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// Takes the next page; `false`: it was empty, and the walk is over.
    pub(super) fn take(&mut self, page: Vec<Document>) -> bool {
        let Some(end) = page.last() else { return false };
        self.last.clone_from(&end.key);
        let after = self.after;
        self.found
            .extend(page.into_iter().filter(|one| one.version > after));
        true
    }

    /// Up to `limit` of what was found, ascending by version.
    pub(super) fn end(mut self, limit: usize) -> Vec<Document> {
        self.found.sort_unstable_by_key(|one| one.version);
        self.found.truncate(limit);
        self.found
    }
}
