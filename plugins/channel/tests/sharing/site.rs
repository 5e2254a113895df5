//! A site: managers with homes of their own over one store, whose leases only the test
//! lets run out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, DirectoryError, Entrance, Entry, Holder, Labels,
    StoreError, TaskStore, TokenWish,
};
use wpk_plugin_channel::{Channel, Place, Settings};
use wpk_testkit::channel_agent::DEADLINE;
use wpk_testkit::memory::{Carried, Gate, Lossy, MemoryStore, StoreAround};
use wpk_testkit::wait_until;

use crate::common::{Manager, context_of, settings};

pub struct Site {
    folder: TempDir,
    store: MemoryStore,
    /// What is between each manager and the store.
    pub wire: Arc<Wire>,
}

/// Loses what it is told to; cut, it carries nothing.
pub struct Wire {
    pub lossy: Lossy,
    cut: AtomicBool,
    /// So many writings still pass.
    left: AtomicUsize,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            lossy: Lossy::default(),
            cut: AtomicBool::new(false),
            left: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Wire {
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// Only so many writings of documents pass from now on.
    pub fn writings(&self, left: usize) {
        self.left.store(left, Ordering::SeqCst);
    }
}

#[async_trait]
impl Gate for Wire {
    async fn pass(&self, operation: &'static str) -> Result<(), StoreError> {
        let writes = operation == "write_documents";
        let fewer = |left: usize| left.checked_sub(1);
        let none = || {
            (self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer))
            .is_err()
        };
        match self.cut.load(Ordering::SeqCst) || (writes && none()) {
            true => Err(StoreError::Unavailable("the wire is cut".to_owned())),
            false => Ok(()),
        }
    }

    async fn carry<T: Send>(
        &self,
        operation: &'static str,
        call: Carried<'_, T>,
    ) -> Result<T, StoreError> {
        self.lossy.carry(operation, call).await
    }
}

pub const LEASE: Duration = Duration::from_secs(15);

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = MemoryStore::shared(LEASE, 1_700_000_000);
        let wire = Arc::default();
        let site = Self {
            folder,
            store,
            wire,
        };
        site.passphrase("correct horse");
        site
    }

    /// The passphrase that managers find from now on.
    pub fn passphrase(&self, words: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join("passphrase");
        std::fs::write(&path, words).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The folder of a manager.
    pub fn home(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    pub fn settings(&self, registry: Place) -> Settings {
        Settings {
            registry,
            ca_passphrase_file: Some(self.folder.path().join("passphrase")),
            ..settings()
        }
    }

    /// Time passes by the store's clock.
    pub fn pass(&self, time: Duration) {
        self.store.pass(time);
    }

    /// The store, entered as a node.
    pub async fn entered(&self, node: &str) -> Arc<dyn TaskStore> {
        let store = self.store.open_again();
        let holder = Holder {
            host: "here".to_owned(),
            machine: "here".to_owned(),
            process: 1,
            started: "now".to_owned(),
        };
        let mut entry = Entry {
            node: node.to_owned(),
            holder,
            replaces: None,
        };
        if let Entrance::Held(held) = store.enter(&entry).await.unwrap() {
            entry.replaces = Some(held.incarnation);
            let entered = store.enter(&entry).await.unwrap();
            assert!(matches!(entered, Entrance::Entered(_)));
        }
        Arc::new(StoreAround {
            gate: Arc::clone(&self.wire),
            inside: Arc::new(store),
        })
    }

    /// The store is put back from a backup that knows nobody.
    pub fn lose_the_store(&mut self) {
        self.store = MemoryStore::shared(LEASE, 1_700_000_000);
    }

    /// A manager that is open and has not joined.
    pub fn open(&self, node: &str, registry: Place) -> Arc<Channel> {
        let context = context_of(node, &self.home(node));
        Channel::open(self.settings(registry), &context).unwrap()
    }

    /// What becomes of a manager that joins.
    pub async fn join(&self, node: &str) -> Result<Arc<Channel>, DirectoryError> {
        let channel = self.open(node, Place::Store);
        let store = self.entered(node).await;
        let joined = channel.entered(Arc::clone(&store)).await;
        if joined.is_err() {
            // What a daemon does that does not start, as well as it can.
            let _ = store.leave().await;
        }
        joined.map(|()| channel)
    }

    /// A manager that joined and serves.
    pub async fn manager(&self, node: &str) -> Manager {
        Manager::over(self.join(node).await.unwrap())
    }

    /// A manager by itself, with these agents.
    pub async fn alone(&self, node: &str, agents: &[&str]) -> Manager {
        let manager = Manager::over(self.open(node, Place::File));
        for name in agents {
            manager.enroll(name).await;
        }
        manager
    }
}

/// A token for so many agents.
pub async fn token(manager: &Manager, uses: u32) -> String {
    let wish = TokenWish {
        uses,
        expires_in: 3_600,
        labels: Labels::from([("site".to_owned(), "lyon".to_owned())]),
    };
    manager.channel.issue_token(&wish).await.unwrap().text
}

/// Waits until a manager knows this of an agent.
pub async fn until(manager: &Manager, id: AgentId, what: impl Fn(&AgentInfo) -> bool) {
    let seen = wait_until(DEADLINE, async || {
        let found = manager.channel.lookup(&[id]).await.unwrap();
        found.first().is_some_and(&what).then_some(())
    });
    if seen.await.is_none() {
        let found = manager.channel.lookup(&[id]).await;
        panic!("it never came about: {found:?}");
    }
}

/// The names of all agents that a manager lists.
pub async fn names(manager: &Manager) -> Vec<String> {
    let page = manager.channel.list(None, 1_000).await.unwrap();
    page.agents.into_iter().filter_map(|one| one.name).collect()
}
