//! What an administrator changes about agents: certificates taken back, names, labels.
//! Each change is on disk before it takes effect.

use std::sync::MutexGuard;

use wpk_api::manage::check_labels;
use wpk_api::{AgentId, DirectoryError, Labels, UnixTime};

use super::error::unavailable;
use super::publish::TRIES;
use super::{Kept, Registry, lock};
use crate::goodbye::{Ending, Goodbye};
use crate::record::{Record, check_name};
use crate::shared::{About, SharedError};

impl Registry {
    /// Revokes an agent's certificate; false if there is no such agent (any more).
    /// Writes to disk: not for an async thread.
    pub(crate) fn revoke(&self, id: AgentId, now: UnixTime) -> Result<bool, DirectoryError> {
        let mut kept = lock(&self.database);
        self.revoke_with(&mut kept, id, now)
    }

    /// Revokes an agent and forgets what was known of it; also one that was revoked
    /// before. False if there is no such agent. Not for an async thread.
    pub(crate) fn remove(&self, id: AgentId, now: UnixTime) -> Result<bool, DirectoryError> {
        let mut kept = lock(&self.database);
        self.revoke_with(&mut kept, id, now)?;
        for _ in 0..TRIES {
            let Some(mut record) = self.read(|agents| agents.gone.get(&id).cloned()) else {
                return Ok(false);
            };
            record.forget(now);
            if self.set(&mut kept, &record, false)? {
                self.keep(&mut kept, &record)?;
                self.write(|agents| agents.gone.remove(&id));
                return Ok(true);
            }
        }
        Err(unavailable(SharedError::Raced))
    }

    /// The list first: what stands there is revoked whatever becomes of the registry.
    fn revoke_with(
        &self,
        kept: &mut MutexGuard<'_, Kept>,
        id: AgentId,
        now: UnixTime,
    ) -> Result<bool, DirectoryError> {
        let found = self.read(|agents| agents.by_id.get(&id).cloned());
        let Some(mut record) = found else {
            return Ok(false);
        };
        (self.revocations.append(&record.revocations(now)))
            .map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
        record.revoked = Some(now);
        self.write(|agents| agents.replace(record.clone()));
        // Before others are told, which may take its time.
        let link = (self.sharing.get()).and_then(|sharing| sharing.links.get(id));
        if let Some(link) = link {
            link.end(Ending::Ours(Goodbye::revoked()));
        }
        if let Err(error) = kept.file.put(std::slice::from_ref(&record)) {
            // The next start takes it over from the list.
            tracing::warn!(agent = %id, %error, "the registry does not say yet that the agent is revoked");
        }
        if self.sharing.get().is_some() {
            self.changed_more(id);
            let written = self.publish(kept, &[id]).and_then(|()| match &kept.shared {
                Some(shared) => shared.check(About::Agent(id)),
                None => Ok(()),
            });
            written.map_err(|error| {
                DirectoryError::Unavailable(format!(
                    "the agent is revoked here; other managers hear of it once the task store \
                     takes it: {error}"
                ))
            })?;
        }
        Ok(true)
    }

    /// Gives an agent another name. Not for an async thread.
    pub(crate) fn rename(&self, id: AgentId, name: &str) -> Result<(), DirectoryError> {
        check_name(name)?;
        let mut kept = lock(&self.database);
        if kept.shared.is_none() && self.enrolled(id)?.name == name {
            return Ok(());
        }
        self.amend(&mut kept, id, true, |record| {
            if record.name != name {
                self.is_free(name)?;
            }
            name.clone_into(&mut record.name);
            Ok(())
        })?;
        self.write(|agents| {
            if let Some(record) = agents.by_id.get_mut(&id) {
                let before = std::mem::replace(&mut record.name, name.to_owned());
                agents.by_name.remove(&before);
                agents.by_name.insert(name.to_owned(), id);
            }
        });
        Ok(())
    }

    /// Sets labels and takes some away. Not for an async thread.
    pub(crate) fn label(
        &self,
        id: AgentId,
        set: &Labels,
        unset: &[String],
    ) -> Result<(), DirectoryError> {
        let mut kept = lock(&self.database);
        let record = self.amend(&mut kept, id, false, |record| {
            record.labels.retain(|key, _| !unset.contains(key));
            record.labels.extend(set.clone());
            check_labels(&record.labels).map_err(DirectoryError::Refused)
        })?;
        self.write(|agents| {
            if let Some(kept) = agents.by_id.get_mut(&id) {
                kept.labels = record.labels;
            }
        });
        Ok(())
    }

    pub(super) fn enrolled(&self, id: AgentId) -> Result<Record, DirectoryError> {
        let found = self.read(|agents| agents.by_id.get(&id).cloned());
        found.ok_or_else(|| nobody(id))
    }
}

/// There is no such agent.
pub(crate) fn nobody(id: AgentId) -> DirectoryError {
    DirectoryError::Refused(format!(
        "there is no agent {id}, or it was revoked: `wpkctl agents` lists those that are enrolled"
    ))
}
