//! Who is enrolled, and what each agent said of itself when it last connected.
//!
//! Everything is held in memory, so a question about ten thousand agents costs
//! no I/O; changes are written behind, many in one transaction. Enrolments and
//! revocations are on disk before they take effect. The channel enters for
//! lookups and enrolment, sessions to learn who dials in.
//!
//! Where several managers keep their agents in one store ([`crate::shared`]), that counts:
//! what changes is compared and set there first (`publish`), what others changed is learned
//! (`learn`), and the file is this node's copy.

mod enroll;
mod error;
mod join;
mod learn;
mod manage;
mod presence;
mod publish;
mod renew;
mod tokens;

pub(crate) use enroll::NewAgent;
pub(crate) use error::{RegistryError, unavailable};
pub(crate) use join::Joining;
pub(crate) use learn::Departure;
pub(crate) use manage::nobody;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use tokio::sync::Notify;
use wpk_api::{AgentId, BuildError, DirectoryError, UnixTime};

use crate::certificate::Fingerprint;
use crate::database::{Database, DatabaseError};
use crate::links::Links;
use crate::record::Record;
use crate::revocations::{Revocation, Revocations};
use crate::shared::{SeenDocument, Shared};

/// What the registry says about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// An enrolled agent and its name.
    Agent(AgentId, String),
    /// Enrolled once, then revoked.
    Revoked(AgentId),
    /// Never enrolled here.
    Stranger,
}

/// The registry.
pub(crate) struct Registry {
    agents: RwLock<Agents>,
    database: Mutex<Kept>,
    /// Changed only by whoever holds `database`.
    revocations: Revocations,
    /// What stood there at the start.
    listed: Vec<Revocation>,
    /// Agents whose record in memory is newer than on disk.
    changed: Mutex<BTreeSet<AgentId>>,
    wake: Notify,
    /// Set where the agents are kept in a store that others share.
    sharing: OnceLock<Sharing>,
}

/// Where the registry is written.
struct Kept {
    file: Database,
    /// What counts, where it is there.
    shared: Option<Shared>,
    /// What was seen of agents of which nothing else was learned yet.
    early: HashMap<AgentId, SeenDocument>,
    /// Agents that the file does not have as they are, where it is a copy.
    stale: BTreeMap<AgentId, Record>,
}

/// Which part of what is shared is this node's to write.
struct Sharing {
    node: String,
    links: Arc<Links>,
    pending: Mutex<Pending>,
}

/// What others must hear of. Locked within `agents`, never the other way round.
#[derive(Default)]
struct Pending {
    /// Agents that came here since it was last written where they are.
    came: BTreeSet<AgentId>,
    /// Agents of which more changed than what is seen of them.
    changed: BTreeSet<AgentId>,
    /// Connections that must end.
    departures: Vec<(AgentId, Departure)>,
}

#[derive(Default)]
struct Agents {
    by_id: BTreeMap<AgentId, Record>,
    by_fingerprint: HashMap<Fingerprint, AgentId>,
    by_name: HashMap<String, AgentId>,
    revoked: HashMap<Fingerprint, AgentId>,
    /// Those that were revoked and not removed, for whoever asks about them.
    gone: BTreeMap<AgentId, Record>,
    /// Nodes whose lease lives, where several keep their agents together.
    living: Arc<BTreeSet<String>>,
    /// Some that others wrote of were not understood.
    left_out: bool,
}

impl Agents {
    fn insert(&mut self, record: Record) {
        if record.revoked.is_some() {
            for fingerprint in record.fingerprints() {
                self.revoked.insert(fingerprint, record.id);
            }
            if !record.removed {
                self.gone.insert(record.id, record);
            }
            return;
        }
        for fingerprint in record.fingerprints() {
            self.by_fingerprint.insert(fingerprint, record.id);
        }
        self.by_name.insert(record.name.clone(), record.id);
        self.by_id.insert(record.id, record);
    }

    /// Puts a record in the place of the one before; what that was known by is forgotten,
    /// but that its certificates are worth nothing.
    fn replace(&mut self, record: Record) {
        if let Some(before) = self.by_id.remove(&record.id) {
            if self.by_name.get(&before.name) == Some(&record.id) {
                self.by_name.remove(&before.name);
            }
            for fingerprint in before.fingerprints() {
                self.by_fingerprint.remove(&fingerprint);
            }
        }
        self.gone.remove(&record.id);
        self.insert(record);
    }
}

impl Registry {
    /// Opens the registry's file, or makes it, and the list of revoked agents, which
    /// counts whatever the registry says: it may be an older one from a backup. `copy`: the
    /// file is a copy of what others have, who say what is so.
    pub(crate) fn open(path: &Path, list: &Path, copy: bool) -> Result<Self, BuildError> {
        let failed = |error: DatabaseError| {
            BuildError::Failed(format!(
                "the registry of agents {} cannot be used: {error}",
                path.display()
            ))
        };
        let mut database = Database::open(path).map_err(failed)?;
        let revocations =
            |error: crate::revocations::RevocationsError| BuildError::Failed(error.to_string());
        let (list, listed) = Revocations::open(list).map_err(revocations)?;
        let mut agents = Agents::default();
        let mut unlisted = Vec::new();
        let own = match copy {
            true => Vec::new(),
            false => database.load().map_err(failed)?,
        };
        for mut record in own {
            let entry = listed.iter().find(|entry| entry.agent == record.id);
            match (entry, record.revoked) {
                (Some(entry), None) => {
                    tracing::warn!(
                        agent = %record.id,
                        "the registry does not know that the agent was revoked; it is"
                    );
                    record.revoked = Some(entry.at);
                    let one = std::slice::from_ref(&record);
                    database.put(one).map_err(failed)?;
                }
                (None, Some(at)) => unlisted.extend(record.revocations(at)),
                _ => {}
            }
            agents.insert(record);
        }
        list.append(&unlisted).map_err(revocations)?;
        for entry in &listed {
            agents.revoked.insert(entry.fingerprint, entry.agent);
            database.used(entry.agent);
        }
        Ok(Self {
            agents: RwLock::new(agents),
            database: Mutex::new(Kept {
                file: database,
                shared: None,
                early: HashMap::new(),
                stale: BTreeMap::new(),
            }),
            revocations: list,
            listed,
            changed: Mutex::new(BTreeSet::new()),
            wake: Notify::new(),
            sharing: OnceLock::new(),
        })
    }

    /// How many agents are enrolled as far as the file says; `None` where it says nothing.
    pub(crate) fn on_disk(&self) -> Option<i64> {
        lock(&self.database).file.enrolled().ok()
    }

    /// How many agents are enrolled.
    pub(crate) fn len(&self) -> usize {
        self.read(|agents| agents.by_id.len())
    }

    /// Whose certificate this is.
    pub(crate) fn identify(&self, fingerprint: &Fingerprint) -> Known {
        self.read(|agents| {
            if let Some(id) = agents.revoked.get(fingerprint) {
                return Known::Revoked(*id);
            }
            agents
                .by_fingerprint
                .get(fingerprint)
                .and_then(|id| agents.by_id.get(id))
                .map_or(Known::Stranger, |record| {
                    Known::Agent(record.id, record.name.clone())
                })
        })
    }

    /// Whether there is such an agent (still).
    pub(crate) fn is_enrolled(&self, id: AgentId) -> bool {
        self.read(|agents| agents.by_id.contains_key(&id))
    }

    /// Keeps when an agent was last heard.
    pub(crate) fn seen(&self, id: AgentId, now: UnixTime) {
        self.change(id, |record| record.last_seen = Some(now));
    }

    /// The records of those of `ids` that are enrolled, each shown to `view`.
    pub(crate) fn lookup<T>(&self, ids: &[AgentId], mut view: impl FnMut(&Record) -> T) -> Vec<T> {
        self.read(|agents| {
            ids.iter()
                .filter_map(|id| agents.by_id.get(id))
                .map(&mut view)
                .collect()
        })
    }

    /// The same, and those that were revoked and not removed.
    pub(crate) fn known<T>(&self, ids: &[AgentId], view: impl FnMut(&Record) -> T) -> Vec<T> {
        self.read(|agents| {
            ids.iter()
                .filter_map(|id| agents.by_id.get(id).or_else(|| agents.gone.get(id)))
                .map(view)
                .collect()
        })
    }

    /// Up to `limit` records above `after`, and whether there are more.
    pub(crate) fn page<T>(
        &self,
        after: Option<AgentId>,
        limit: usize,
        view: impl FnMut(&Record) -> T,
    ) -> (Vec<T>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.read(|agents| {
            let mut rest = agents.by_id.range((from, Bound::Unbounded));
            let page = rest.by_ref().take(limit).map(|(_, record)| record);
            let page = page.map(view).collect();
            (page, rest.next().is_some())
        })
    }

    /// Returns when a record has changed since it was last written.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Writes what has changed; it stays changed if that fails. Not for an
    /// async thread.
    pub(crate) fn flush(&self) -> Result<(), RegistryError> {
        let ids: Vec<_> = std::mem::take(&mut *lock(&self.changed))
            .into_iter()
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        // First, so that nothing newer is on disk than what is in memory.
        let mut kept = lock(&self.database);
        let written = self.publish(&mut kept, &ids);
        let records = self.known(&ids, Record::clone);
        let result = match kept.shared.is_some() {
            true => {
                self.copy(&mut kept, &records);
                written.map_err(RegistryError::from)
            }
            false => kept.file.put(&records).map_err(RegistryError::from),
        };
        if result.is_err() {
            lock(&self.changed).extend(ids);
        }
        result
    }

    /// Whether nobody has this name.
    fn is_free(&self, name: &str) -> Result<(), DirectoryError> {
        match self.read(|agents| agents.by_name.get(name).copied()) {
            Some(id) => Err(DirectoryError::Refused(format!(
                "the name {name:?} is taken by agent {id}: choose another"
            ))),
            None => Ok(()),
        }
    }

    fn change(&self, id: AgentId, change: impl FnOnce(&mut Record)) {
        let changed = self.write(|agents| {
            let Some(record) = agents.by_id.get_mut(&id) else {
                return false;
            };
            let before = record.clone();
            change(record);
            *record != before
        });
        if changed {
            lock(&self.changed).insert(id);
            self.wake.notify_one();
        }
    }

    // A panic elsewhere leaves these maps whole: every change is one call.
    fn read<T>(&self, view: impl FnOnce(&Agents) -> T) -> T {
        view(&self.agents.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Agents) -> T) -> T {
        change(&mut self.agents.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
