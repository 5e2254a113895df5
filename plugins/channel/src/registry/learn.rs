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
    /// What was seen of agents that were not told of yet.
    early: HashMap<AgentId, SeenDocument>,
}

impl Registry {
    /// Learns what others wrote since the last time, and which nodes live. Nothing where
    /// nobody shares the agents. Waits for the store: not for an async thread.
    pub(crate) fn catch_up(&self) -> Result<(), RegistryError> {
        let mut kept = lock(&self.database);
        self.learn(&mut kept)?;
        if let Some(shared) = &kept.shared {
            let living = Arc::new(shared.living()?);
            self.write(|agents| agents.living = living);
        }
        Ok(())
    }

    /// Connections that must end, for what was learned since the last time.
    pub(crate) fn departures(&self) -> Vec<(AgentId, Departure)> {
        let Some(sharing) = self.sharing.get() else {
            return Vec::new();
        };
        let mut pending = lock(&sharing.pending);
        let mut departures = std::mem::take(&mut pending.departures);
        // One that came here again since stays.
        departures.retain(|(id, why)| *why == Departure::Revoked || !pending.came.contains(id));
        departures
    }

    /// The CAs that all have, as they were last learned.
    pub(crate) fn authority(&self) -> Option<AuthorityDocument> {
        let kept = lock(&self.database);
        kept.shared.as_ref()?.authority().cloned()
    }

    /// Has all use these CAs; `false`: somebody else was quicker. Waits for the store: not
    /// for an async thread.
    pub(crate) fn set_authority(&self, new: &AuthorityDocument) -> Result<bool, RegistryError> {
        let mut kept = lock(&self.database);
        let Some(shared) = &mut kept.shared else {
            return Ok(true);
        };
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
                Ok(Some(news)) => self.take_in(sharing, &news, &mut learned),
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
        if let Err(error) = kept.file.copy(&records) {
            tracing::warn!(%error, "this node's copy of the registry of agents is behind");
            lock(&self.changed).extend(records.iter().map(|record| record.id));
        }
        let departures = std::mem::take(&mut learned.departures);
        lock(&sharing.pending).departures.extend(departures);
    }

    fn take_in(&self, sharing: &Sharing, news: &[News], learned: &mut Learned) {
        for one in news {
            let taken = match one.about {
                About::Agent(id) => self.take_agent(sharing, id, one, learned),
                About::Seen(id) => self.take_seen(sharing, id, one, learned),
                _ => Ok(()),
            };
            if let Err(error) = taken {
                tracing::warn!(%error, "an agent is left out");
            }
        }
    }

    fn take_agent(
        &self,
        sharing: &Sharing,
        id: AgentId,
        news: &News,
        learned: &mut Learned,
    ) -> Result<(), SharedError> {
        let document: AgentDocument = news.read()?;
        let before = self.read(|agents| agents.find(id).cloned());
        let mut record = (before.clone()).unwrap_or_else(|| Record::new(id, "", [0; 32], 0));
        let node = record.node.take();
        document.into(&mut record).ok_or_else(|| news.nonsense())?;
        record.node = node;
        if let Some(before) = &before
            && lock(&sharing.pending).changed.contains(&id)
        {
            // What others do not know of yet stays: that it showed its newer certificate,
            // that it was revoked.
            let shown = record.next.as_ref().map(|next| next.fingerprint);
            if shown == Some(before.fingerprint) {
                record.take_next();
            }
            record.revoked = record.revoked.or(before.revoked);
        }
        if let Some(seen) = learned.early.remove(&id) {
            seen.into(&mut record);
        }
        if let Some(at) = record.revoked
            && before.is_none_or(|before| before.revoked.is_none())
        {
            let known = self.read(|agents| agents.revoked.contains_key(&record.fingerprint));
            if !known {
                learned.revoked.extend(record.revocations(at));
            }
            learned.departures.push((id, Departure::Revoked));
        }
        learned.records.insert(id, record.clone());
        self.write(|agents| agents.replace(record));
        Ok(())
    }

    fn take_seen(
        &self,
        sharing: &Sharing,
        id: AgentId,
        news: &News,
        learned: &mut Learned,
    ) -> Result<(), SharedError> {
        let document: SeenDocument = news.read()?;
        if lock(&sharing.pending).came.contains(&id) {
            // It came here since, which the others will hear.
            return Ok(());
        }
        if document.node.as_ref() != Some(&sharing.node) {
            learned.departures.push((id, Departure::Moved));
        }
        let record = self.write(|agents| {
            let record = agents.by_id.get_mut(&id)?;
            document.clone().into(record);
            Some(record.clone())
        });
        match record {
            Some(record) => {
                learned.records.insert(id, record);
            }
            None => {
                learned.early.insert(id, document);
            }
        }
        Ok(())
    }
}

impl Agents {
    /// The record of an agent that was not removed.
    fn find(&self, id: AgentId) -> Option<&Record> {
        self.by_id.get(&id).or_else(|| self.gone.get(&id))
    }
}
