//! Who is enrolled, and what each agent said of itself when it last connected.
//!
//! Everything is held in memory, so a question about ten thousand agents costs
//! no I/O; changes are written behind, many in one transaction. Enrolments and
//! revocations are on disk before they take effect. The channel enters for
//! lookups and enrolment, sessions to learn who dials in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;
use wpk_api::{AgentId, BuildError, DirectoryError, UnixTime};
use wpk_wire::Hello;

use crate::certificate::{Fingerprint, Issued};
use crate::database::{Database, DatabaseError};
use crate::pki::{Authority, PkiError};
use crate::record::{Record, check_name};

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
    database: Mutex<Database>,
    /// Agents whose record in memory is newer than on disk.
    changed: Mutex<BTreeSet<AgentId>>,
    wake: Notify,
}

#[derive(Default)]
struct Agents {
    by_id: BTreeMap<AgentId, Record>,
    by_fingerprint: HashMap<Fingerprint, AgentId>,
    by_name: HashMap<String, AgentId>,
    revoked: HashMap<Fingerprint, AgentId>,
}

impl Agents {
    fn insert(&mut self, record: Record) {
        if record.revoked {
            self.revoked.insert(record.fingerprint, record.id);
            return;
        }
        self.by_fingerprint.insert(record.fingerprint, record.id);
        self.by_name.insert(record.name.clone(), record.id);
        self.by_id.insert(record.id, record);
    }
}

impl Registry {
    /// Opens the registry's file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, BuildError> {
        let failed = |error: DatabaseError| {
            BuildError::Failed(format!(
                "the registry of agents {} cannot be used: {error}",
                path.display()
            ))
        };
        let database = Database::open(path).map_err(failed)?;
        let mut agents = Agents::default();
        for record in database.load().map_err(failed)? {
            agents.insert(record);
        }
        Ok(Self {
            agents: RwLock::new(agents),
            database: Mutex::new(database),
            changed: Mutex::new(BTreeSet::new()),
            wake: Notify::new(),
        })
    }

    /// How many agents are enrolled.
    pub(crate) fn len(&self) -> usize {
        self.read(|agents| agents.by_id.len())
    }

    /// Enrols an agent. Writes to disk: not for an async thread.
    pub(crate) fn enroll(
        &self,
        name: &str,
        authority: &Authority,
        now: UnixTime,
    ) -> Result<(AgentId, Issued), DirectoryError> {
        check_name(name)?;
        // Held to the end, so that two enrolments cannot pass the check together.
        let mut database = lock(&self.database);
        if let Some(id) = self.read(|agents| agents.by_name.get(name).copied()) {
            return Err(DirectoryError::Refused(format!(
                "the name {name:?} is taken by agent {id}: choose another"
            )));
        }
        let mut issued = None;
        let record = database
            .insert(now, |id| {
                let made = authority.issue_agent(id)?;
                let fingerprint = made.fingerprint;
                issued = Some(made);
                Ok::<_, EnrollError>(Record::new(id, name, fingerprint))
            })
            .map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
        let id = record.id;
        self.write(|agents| agents.insert(record));
        issued
            .map(|issued| (id, issued))
            .ok_or_else(|| DirectoryError::Unavailable("no certificate was made".to_owned()))
    }

    /// Revokes an agent's certificate; false if there is no such agent. Writes
    /// to disk: not for an async thread.
    pub(crate) fn revoke(&self, id: AgentId, now: UnixTime) -> Result<bool, DirectoryError> {
        let mut database = lock(&self.database);
        if self.read(|agents| !agents.by_id.contains_key(&id)) {
            return Ok(false);
        }
        database
            .revoke(id, now)
            .map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
        self.write(|agents| {
            if let Some(record) = agents.by_id.remove(&id) {
                agents.by_name.remove(&record.name);
                agents.by_fingerprint.remove(&record.fingerprint);
                agents.revoked.insert(record.fingerprint, id);
            }
        });
        Ok(true)
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

    /// Keeps what an agent says of itself.
    pub(crate) fn greet(&self, id: AgentId, hello: &Hello, now: UnixTime) {
        self.change(id, |record| record.greet(hello, now));
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
    pub(crate) fn flush(&self) -> Result<(), DatabaseError> {
        let ids: Vec<_> = std::mem::take(&mut *lock(&self.changed))
            .into_iter()
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let records = self.lookup(&ids, Record::clone);
        let result = lock(&self.database).update(&records);
        if result.is_err() {
            lock(&self.changed).extend(ids);
        }
        result
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

/// Why an enrolment came to nothing.
#[derive(Debug, thiserror::Error)]
enum EnrollError {
    #[error("the registry of agents cannot be written: {0}")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Home {
        folder: tempfile::TempDir,
        authority: Authority,
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let authority = Authority::open(&folder.path().join("ca"), 100, provider).unwrap();
            Self { folder, authority }
        }

        fn registry(&self) -> Registry {
            Registry::open(&self.folder.path().join("db/agents.db")).unwrap()
        }
    }

    fn hello() -> Hello {
        Hello {
            platform: "ubuntu".into(),
            os_version: Some("22.04.3 LTS".into()),
            arch: Some("x86_64".into()),
            version: "Wazuh v4.2.1".into(),
            ..Hello::default()
        }
    }

    #[test]
    fn ids_are_never_used_twice() {
        let home = Home::new();
        let registry = home.registry();
        let (first, _) = registry.enroll("a", &home.authority, 1).unwrap();
        let (second, issued) = registry.enroll("b", &home.authority, 1).unwrap();
        assert_eq!((first.get(), second.get()), (1, 2));
        assert!(registry.revoke(second, 2).unwrap());
        assert!(!registry.revoke(second, 2).unwrap());
        drop(registry);

        let registry = home.registry();
        assert_eq!(
            registry.identify(&issued.fingerprint),
            Known::Revoked(second)
        );
        // The name is free again, the id is not.
        let (third, _) = registry.enroll("b", &home.authority, 3).unwrap();
        assert_eq!(third.get(), 3);
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn names_have_rules() {
        let home = Home::new();
        let registry = home.registry();
        registry
            .enroll(&"x".repeat(128), &home.authority, 1)
            .unwrap();
        registry
            .enroll("Web_01.example-org", &home.authority, 1)
            .unwrap();
        for bad in [
            "",
            "a b",
            "a/b",
            "ä",
            "a\n",
            &"y".repeat(129),
            "Web_01.example-org",
        ] {
            let refused = registry.enroll(bad, &home.authority, 1);
            assert!(
                matches!(refused, Err(DirectoryError::Refused(_))),
                "{bad:?}"
            );
        }
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn what_an_agent_said_outlives_a_restart() {
        let home = Home::new();
        let registry = home.registry();
        let (id, issued) = registry.enroll("a", &home.authority, 1).unwrap();
        registry.greet(id, &hello(), 5);
        registry.flush().unwrap();
        drop(registry);

        let records = home.registry().lookup(&[id], Record::clone);
        let platform = &records[0].platform;
        assert_eq!(platform.major.as_deref(), Some("22"));
        assert_eq!(platform.minor.as_deref(), Some("04"));
        assert_eq!(records[0].last_seen, Some(5));
        assert_eq!(records[0].fingerprint, issued.fingerprint);
    }

    #[test]
    fn pages_end_where_the_agents_end() {
        let home = Home::new();
        let registry = home.registry();
        for name in ["a", "b", "c"] {
            registry.enroll(name, &home.authority, 1).unwrap();
        }
        let page = |after: Option<i64>, limit| {
            let after = after.map(|id| AgentId::new(id).unwrap());
            registry.page(after, limit, |record| record.id.get())
        };
        assert_eq!(page(None, 2), (vec![1, 2], true));
        assert_eq!(page(Some(2), 2), (vec![3], false));
        assert_eq!(page(Some(3), 2), (vec![], false));
        assert_eq!(page(None, 3), (vec![1, 2, 3], false));
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let home = Home::new();
        let path = home.folder.path().join("db/agents.db");
        drop(home.registry());
        let later = rusqlite::Connection::open(&path).unwrap();
        later.pragma_update(None, "user_version", 2).unwrap();
        drop(later);
        let error = Registry::open(&path).err().unwrap().to_string();
        assert!(error.contains("its layout is 2"), "{error}");
    }
}
