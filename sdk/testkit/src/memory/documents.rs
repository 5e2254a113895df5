//! Documents: what [`wpk_api::TaskStore::write_documents`] asks for, word by word.

use std::collections::BTreeMap;

use wpk_api::{
    Document, DocumentWrite, Fence, Guard, LONGEST_DOCUMENT, LONGEST_KEY, LONGEST_MARK, UnixTime,
};

/// All documents, by their keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Documents {
    kept: BTreeMap<String, Document>,
    last: u64,
}

impl Documents {
    /// Whether the document of a fence is there with that epoch.
    pub(super) fn lets_through(&self, fence: Option<&Fence>) -> bool {
        let epoch = |key: &str| self.kept.get(key).map(|document| document.epoch);
        fence.is_none_or(|fence| {
            epoch(&fence.key) == Some(fence.epoch) && fence.mark.len() <= LONGEST_MARK
        })
    }

    /// The same at a time, for whoever begins an installer.
    pub(super) fn lets_begin(&self, fence: Option<&Fence>, now: UnixTime) -> bool {
        let closed = fence.and_then(|fence| fence.closes);
        self.lets_through(fence) && closed.is_none_or(|closes| now < closes)
    }

    /// Whether a task stays because of its document.
    pub(super) fn keeps(&self, fence: Option<&Fence>) -> bool {
        let document = fence.and_then(|fence| self.kept.get(&fence.key));
        document.is_some_and(|document| document.keeps_tasks)
    }

    /// All whose keys begin so and are above `after`.
    pub(super) fn after(&self, prefix: &str, after: &str) -> impl Iterator<Item = &Document> {
        let asked = move |document: &&Document| {
            document.key.starts_with(prefix) && document.key.as_str() > after
        };
        self.kept.values().filter(asked)
    }

    pub(super) fn holds(&self, guard: &Guard) -> bool {
        let document = self.kept.get(&guard.key);
        document.is_some_and(|document| document.version == guard.version)
    }

    /// Its new version, and below which epoch its tasks end; `None` where it is not to be.
    pub(super) fn write(&mut self, write: DocumentWrite) -> Option<(u64, Option<u64>)> {
        let now = self.kept.get(&write.key);
        if now.map(|document| document.version) != write.expected
            || !(1..=LONGEST_KEY).contains(&write.key.len())
        {
            return None;
        }
        self.last += 1;
        let Some(new) = write.becomes else {
            self.kept.remove(&write.key);
            return Some((self.last, None));
        };
        let lowered = now.is_some_and(|now| new.epoch < now.epoch);
        if lowered || new.text.len() > LONGEST_DOCUMENT {
            return None;
        }
        let document = Document {
            key: write.key.clone(),
            version: self.last,
            epoch: new.epoch,
            keeps_tasks: new.keeps_tasks,
            text: new.text,
        };
        self.kept.insert(write.key, document);
        Some((self.last, Some(new.epoch)))
    }
}
