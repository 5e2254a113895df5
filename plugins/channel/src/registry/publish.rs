//! What this node knows better is written to the store that others share: what is seen of
//! agents that are connected here, and what it changed of any. Each document is compared and
//! set; where somebody else was quicker, that is learned first.

use std::collections::BTreeSet;

use wpk_api::{AgentId, DirectoryError};

use super::error::unavailable;
use super::{Kept, Registry, Sharing, lock};
use crate::record::Record;
use crate::shared::{About, AgentDocument, SeenDocument, SharedError, Writes, text_of};

/// Agents written at a time.
const TOGETHER: usize = 500;
/// How often somebody else may be quicker.
pub(super) const TRIES: usize = 20;

/// Agents of which something is being written: others must hear of them again if it fails.
#[derive(Default)]
struct Under {
    came: BTreeSet<AgentId>,
    changed: BTreeSet<AgentId>,
}

impl Registry {
    /// Writes what others must hear of these agents. Nothing where nobody shares them.
    pub(super) fn publish(&self, kept: &mut Kept, ids: &[AgentId]) -> Result<(), SharedError> {
        let Some(sharing) = self.sharing.get() else {
            return Ok(());
        };
        let mut result = Ok(());
        for together in ids.chunks(TOGETHER) {
            let written = self.publish_some(kept, sharing, together);
            let raced = matches!(written, Err(SharedError::Raced));
            result = result.and(written);
            // Others may be written although these cannot.
            if result.is_err() && !raced {
                break;
            }
        }
        result
    }

    fn publish_some(
        &self,
        kept: &mut Kept,
        sharing: &Sharing,
        ids: &[AgentId],
    ) -> Result<(), SharedError> {
        for _ in 0..TRIES {
            let Some(shared) = &mut kept.shared else {
                return Ok(());
            };
            // Their marks stay.
            let understood = |id: &AgentId| {
                let both = [About::Agent(*id), About::Seen(*id)];
                both.into_iter().all(|about| shared.check(about).is_ok())
            };
            let ids: Vec<AgentId> = ids.iter().copied().filter(understood).collect();
            let (writes, under) = self.outstanding(sharing, &ids);
            if writes.is_empty() {
                return Ok(());
            }
            let written = shared.write(writes);
            if let Ok(true) = written {
                return Ok(());
            }
            {
                // One that left meanwhile is not taken for one that came; none can while it
                // is asked.
                sharing.links.with_connected(|connected| {
                    let mut pending = lock(&sharing.pending);
                    let came = under.came.iter().filter(|id| connected(**id));
                    pending.came.extend(came.copied());
                    pending.changed.extend(&under.changed);
                });
            }
            written?;
            self.learn(kept)?;
        }
        Err(SharedError::Raced)
    }

    /// What is to be written of these; it counts as written from now on.
    fn outstanding(&self, sharing: &Sharing, ids: &[AgentId]) -> (Writes, Under) {
        let (mut writes, mut under) = (Writes::new(), Under::default());
        for id in ids {
            // The marks first: what changes after them leaves another.
            let found = self.read(|agents| {
                let record = agents.find(*id)?;
                let mut pending = lock(&sharing.pending);
                let marks = (pending.came.remove(id), pending.changed.remove(id));
                Some((record.clone(), marks))
            });
            let Some((record, (came, changed))) = found else {
                continue;
            };
            if changed {
                under.changed.insert(*id);
                let document = AgentDocument::of(&record);
                writes.push((About::Agent(*id), text_of(&document)));
            }
            if came {
                under.came.insert(*id);
            }
            let here = record.node.as_ref() == Some(&sharing.node);
            if record.revoked.is_none() && here {
                let connected = sharing.links.get(*id).is_some();
                let document = SeenDocument::of(&record, connected);
                writes.push((About::Seen(*id), text_of(&document)));
            }
        }
        (writes, under)
    }

    /// More changed of an agent than what is seen of it: others hear of it with the next
    /// writing.
    pub(super) fn changed_more(&self, id: AgentId) {
        if let Some(sharing) = self.sharing.get() {
            lock(&sharing.pending).changed.insert(id);
        }
        lock(&self.changed).insert(id);
        self.wake.notify_one();
    }

    /// Has `change` made to an agent that is enrolled: where others share it there first,
    /// then on disk. Returns it as it was written; what follows in memory is the caller's.
    /// `named`: its name changes, which no other agent may get meanwhile.
    pub(super) fn amend(
        &self,
        kept: &mut Kept,
        id: AgentId,
        named: bool,
        mut change: impl FnMut(&mut Record) -> Result<(), DirectoryError>,
    ) -> Result<Record, DirectoryError> {
        for _ in 0..TRIES {
            let mut record = self.enrolled(id)?;
            change(&mut record)?;
            if self.set(kept, &record, named)? {
                self.keep(kept, &record)?;
                return Ok(record);
            }
        }
        Err(unavailable(SharedError::Raced))
    }

    /// Writes an agent where others share it; `false`: somebody else was quicker, which is
    /// learned now.
    pub(super) fn set(
        &self,
        kept: &mut Kept,
        record: &Record,
        named: bool,
    ) -> Result<bool, DirectoryError> {
        let Some(store) = &mut kept.shared else {
            return Ok(true);
        };
        let about = About::Agent(record.id);
        store.check(about).map_err(unavailable)?;
        let document = AgentDocument::of(record);
        let mut writes = vec![(about, text_of(&document))];
        if named && let Some(registry) = store.registry() {
            writes.push((About::Registry, text_of(registry)));
        }
        if record.removed {
            writes.push((About::Seen(record.id), None));
        }
        let written = store.write(writes).map_err(unavailable)?;
        if !written {
            self.learn(kept).map_err(unavailable)?;
        }
        Ok(written)
    }

    /// Writes an agent to the file.
    pub(super) fn keep(&self, kept: &mut Kept, record: &Record) -> Result<(), DirectoryError> {
        let one = std::slice::from_ref(record);
        if kept.shared.is_some() {
            self.copy(kept, one);
            return Ok(());
        }
        kept.file.put(one).map_err(unavailable)
    }

    /// Writes agents to the file where that is a copy: a disk that is full keeps nobody from
    /// anything.
    pub(super) fn copy(&self, kept: &mut Kept, records: &[Record]) {
        if let Err(error) = kept.file.copy(records) {
            if kept.stale.is_empty() {
                tracing::warn!(%error, "this node's copy of the registry of agents is behind");
            }
            let again = records.iter().map(|record| (record.id, record.clone()));
            kept.stale.extend(again);
        }
    }

    /// Tries again what could not be written to the copy.
    pub(super) fn copy_again(&self, kept: &mut Kept) {
        if kept.stale.is_empty() {
            return;
        }
        while !kept.stale.is_empty() {
            let some = kept.stale.values().take(2 * TOGETHER);
            // As they are now, where they are still known.
            let records: Vec<Record> = some
                .map(|then| {
                    let now = self.read(|agents| agents.find(then.id).cloned());
                    now.unwrap_or_else(|| then.clone())
                })
                .collect();
            if kept.file.copy(&records).is_err() {
                return;
            }
            for record in records {
                kept.stale.remove(&record.id);
            }
        }
        tracing::info!("this node's copy of the registry of agents is whole again");
    }
}
