//! What an administrator changes about agents: certificates taken back, names, labels.
//! Each change is on disk before it takes effect.

use std::sync::MutexGuard;

use wpk_api::manage::check_labels;
use wpk_api::{AgentId, DirectoryError, Labels, UnixTime};

use super::{Registry, lock};
use crate::database::{Database, DatabaseError};
use crate::record::{Record, check_name};

impl Registry {
    /// Revokes an agent's certificate; false if there is no such agent (any more).
    /// Writes to disk: not for an async thread.
    pub(crate) fn revoke(&self, id: AgentId, now: UnixTime) -> Result<bool, DirectoryError> {
        let mut database = lock(&self.database);
        self.revoke_with(&mut database, id, now)
    }

    /// Revokes an agent and forgets what was known of it; also one that was revoked
    /// before. False if there is no such agent. Not for an async thread.
    pub(crate) fn remove(&self, id: AgentId, now: UnixTime) -> Result<bool, DirectoryError> {
        let mut database = lock(&self.database);
        let revoked = self.revoke_with(&mut database, id, now)?;
        if !revoked && self.read(|agents| !agents.gone.contains_key(&id)) {
            return Ok(false);
        }
        database.forget(id, now).map_err(unavailable)?;
        self.write(|agents| agents.gone.remove(&id));
        Ok(true)
    }

    /// The list first: what stands there is revoked whatever becomes of the registry.
    fn revoke_with(
        &self,
        database: &mut MutexGuard<'_, Database>,
        id: AgentId,
        now: UnixTime,
    ) -> Result<bool, DirectoryError> {
        let found = self.read(|agents| agents.by_id.get(&id).map(|one| one.revocations(now)));
        let Some(entries) = found else {
            return Ok(false);
        };
        (self.revocations.append(&entries))
            .map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
        self.write(|agents| {
            if let Some(mut record) = agents.by_id.remove(&id) {
                agents.by_name.remove(&record.name);
                for fingerprint in record.fingerprints() {
                    agents.by_fingerprint.remove(&fingerprint);
                }
                record.revoked = Some(now);
                agents.insert(record);
            }
        });
        if let Err(error) = database.revoke(id, now) {
            // The next start takes it over from the list.
            tracing::warn!(agent = %id, %error, "the registry does not say yet that the agent is revoked");
        }
        Ok(true)
    }

    /// Gives an agent another name. Not for an async thread.
    pub(crate) fn rename(&self, id: AgentId, name: &str) -> Result<(), DirectoryError> {
        check_name(name)?;
        let mut database = lock(&self.database);
        let record = self.enrolled(id)?;
        if record.name == name {
            return Ok(());
        }
        self.is_free(name)?;
        database.rename(id, name).map_err(unavailable)?;
        self.write(|agents| {
            agents.by_name.remove(&record.name);
            agents.by_name.insert(name.to_owned(), id);
            if let Some(record) = agents.by_id.get_mut(&id) {
                record.name = name.to_owned();
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
        let mut database = lock(&self.database);
        let mut labels = self.enrolled(id)?.labels;
        labels.retain(|key, _| !unset.contains(key));
        labels.extend(set.clone());
        check_labels(&labels).map_err(DirectoryError::Refused)?;
        database.label(id, &labels).map_err(unavailable)?;
        self.write(|agents| {
            if let Some(record) = agents.by_id.get_mut(&id) {
                record.labels = labels;
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

pub(super) fn unavailable(error: DatabaseError) -> DirectoryError {
    DirectoryError::Unavailable(format!("the registry of agents cannot be written: {error}"))
}
