//! What other managers wrote about the agents that all share is learned: who was enrolled,
//! changed or revoked, and which node an agent is connected to.

use std::collections::HashMap;
use std::sync::Arc;

use wpk_api::AgentId;

use super::error::RegistryError;
use super::{Agents, Kept, Registry, Sharing, lock};
use crate::record::Record;
use crate::revocations::Revocation;
use crate::shared::{
    About, AgentDocument, AuthorityDocument, News, SeenDocument, SharedError, text_of,
};

/// Why a connection of an agent must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Another manager revoked it.
    Revoked,
    /// It connected to another manager since.
    Moved,
}

/// What one look brought.
#[derive(Default)]
struct Learned {
    records: HashMap<AgentId, Record>,
    revoked: Vec<Revocation>,
    departures: Vec<(AgentId, Departure)>,
}

impl Registry {
    /// Learns what others wrote since the last time, and which nodes live. Nothing where
    /// nobody shares the agents. Waits for the store: not for an async thread.
    pub(crate) fn catch_up(&self) -> Result<(), RegistryError> {
        let mut kept = lock(&self.database);
        self.learn(&mut kept)?;
        self.copy_again(&mut kept);
        if let Some(shared) = &kept.shared {
            let living = Arc::new(shared.living()?);
            self.write(|agents| agents.living = living);
        }
        Ok(())
    }

    /// Connections that may have to end, for what was learned since the last time.
    pub(crate) fn departures(&self) -> Vec<(AgentId, Departure)> {
        match self.sharing.get() {
            Some(sharing) => std::mem::take(&mut lock(&sharing.pending).departures),
            None => Vec::new(),
        }
    }

    /// Whether there are agents that are not known here because what others wrote of them was
    /// not understood.
    pub(crate) fn leaves_out(&self) -> bool {
        self.read(|agents| agents.left_out)
    }

    /// The CAs that all have, as they were last learned.
    pub(crate) fn authority(&self) -> Option<AuthorityDocument> {
        let kept = lock(&self.database);
        kept.shared.as_ref()?.authority().cloned()
    }

    /// Has all use these CAs in the place of those from which they were made; `false`:
    /// somebody else was quicker, which may have been learned meanwhile. Waits for the store:
    /// not for an async thread.
    pub(crate) fn set_authority(
        &self,
        before: &AuthorityDocument,
        new: &AuthorityDocument,
    ) -> Result<bool, RegistryError> {
        let mut kept = lock(&self.database);
        let Some(shared) = &mut kept.shared else {
            return Ok(true);
        };
        if shared.authority() != Some(before) {
            return Ok(false);
        }
        let written = shared.write(vec![(About::Authority, text_of(new))])?;
        if !written {
            self.learn(&mut kept)?;
        }
        Ok(written)
    }

    /// Learns what others wrote since the last time.
    pub(super) fn learn(&self, kept: &mut Kept) -> Result<(), SharedError> {
        let Some(sharing) = self.sharing.get() else {
            return Ok(());
        };
        let mut learned = Learned::default();
        let result = loop {
            let Some(shared) = &mut kept.shared else {
                break Ok(());
            };
            match shared.since() {
                Ok(Some(news)) => self.take_in(kept, sharing, &news, &mut learned),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            self.settle(kept, sharing, &mut learned);
        };
        self.settle(kept, sharing, &mut learned);
        result
    }

    /// What follows from what was learned so far, but in memory.
    fn settle(&self, kept: &mut Kept, sharing: &Sharing, learned: &mut Learned) {
        let revoked = std::mem::take(&mut learned.revoked);
        if let Err(error) = self.revocations.append(&revoked) {
            // The store says it as well.
            tracing::warn!(%error, "an agent that another manager revoked is not in the list");
        }
        let records: Vec<_> = learned.records.drain().map(|(_, record)| record).collect();
        if !records.is_empty() {
            self.copy(kept, &records);
        }
        let departures = std::mem::take(&mut learned.departures);
        lock(&sharing.pending).departures.extend(departures);
    }

    fn take_in(&self, kept: &mut Kept, sharing: &Sharing, news: &[News], learned: &mut Learned) {
        for one in news {
            let taken = match one.about {
                About::Agent(id) => {
                    let early = kept.early.get(&id).cloned();
                    let taken = self.take_agent(sharing, id, one, early, learned);
                    if taken.is_ok() {
                        kept.early.remove(&id);
                    }
                    taken
                }
                About::Seen(id) => match self.take_seen(sharing, id, one, learned) {
                    Ok(Some(early)) => {
                        kept.early.insert(id, early);
                        Ok(())
                    }
                    taken => taken.map(|_| ()),
                },
                _ => Ok(()),
            };
            if let Err(error) = taken {
                tracing::warn!(%error, "an agent is left out");
                if let Some(shared) = &mut kept.shared {
                    // Nothing is written over what was not understood.
                    shared.leave_out(one.about);
                }
            }
        }
        if let Some(shared) = &kept.shared {
            let left_out = shared.leaves_out_agents();
            self.write(|agents| agents.left_out = left_out);
        }
    }

    /// In one go: agents come, and show certificates, at any moment.
    fn take_agent(
        &self,
        sharing: &Sharing,
        id: AgentId,
        news: &News,
        early: Option<SeenDocument>,
        learned: &mut Learned,
    ) -> Result<(), SharedError> {
        let document: AgentDocument = news.read()?;
        self.write(|agents| {
            let before = agents.find(id).cloned();
            let known = before.clone().filter(|_| !document.is_of_a_removed());
            let mut record = known.unwrap_or_else(|| Record::new(id, "", [0; 32], 0));
            document.into(&mut record).ok_or_else(|| news.nonsense())?;
            if let Some(before) = &before
                && lock(&sharing.pending).changed.contains(&id)
            {
                // What others do not know of yet stays: that it showed its newer
                // certificate, that it was revoked.
                let shown = record.next.as_ref().map(|next| next.fingerprint);
                if shown == Some(before.fingerprint) {
                    record.take_next();
                }
                record.revoked = record.revoked.or(before.revoked);
            }
            if let Some(seen) = early.filter(|_| !record.removed) {
                seen.into(&mut record);
            }
            if let Some(at) = record.revoked
                && before.is_none_or(|before| before.revoked.is_none())
            {
                if !agents.revoked.contains_key(&record.fingerprint) {
                    learned.revoked.extend(record.revocations(at));
                }
                learned.departures.push((id, Departure::Revoked));
            }
            learned.records.insert(id, record.clone());
            agents.replace(record);
            Ok(())
        })
    }

    /// The document itself where nothing else was learned of the agent yet.
    fn take_seen(
        &self,
        sharing: &Sharing,
        id: AgentId,
        news: &News,
        learned: &mut Learned,
    ) -> Result<Option<SeenDocument>, SharedError> {
        let document: SeenDocument = news.read()?;
        Ok(self.write(|agents| {
            if lock(&sharing.pending).came.contains(&id) {
                // It is here, which the others will hear.
                return None;
            }
            let Some(record) = agents.by_id.get_mut(&id) else {
                return Some(document);
            };
            if document.connected && document.node.as_ref() != Some(&sharing.node) {
                learned.departures.push((id, Departure::Moved));
            }
            document.into(record);
            learned.records.insert(id, record.clone());
            None
        }))
    }
}

impl Agents {
    /// The record of an agent that was not removed.
    pub(super) fn find(&self, id: AgentId) -> Option<&Record> {
        self.by_id.get(&id).or_else(|| self.gone.get(&id))
    }
}
