//! A store that can be opened again and again on the same data, as its author describes
//! it: what the stories of restarts ([`super::restarts`]) and of several daemons
//! ([`super::shared`]) are told with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use wpk_api::{Entered, Entrance, Entry, Holder, Incarnation, TaskStore, UnixTime};

use super::tasks::ok;
use crate::suite::{DEADLINE, Keep, Opener};

/// One set of tasks, and how it is opened.
pub struct Stand {
    open: Opener<dyn TaskStore>,
    pass: Option<Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>>,
    keep: Keep,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("settable_clock", &self.pass.is_some())
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// `open` opens the store, each time on the same data, which is empty at first. In the
    /// stories of restarts what was opened before is dropped before the next is opened; in
    /// those of several daemons as many are open as there are daemons.
    pub fn new<F, Fut>(open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn TaskStore>> + Send + 'static,
    {
        Self {
            open: Opener::new(open),
            pass: None,
            keep: None,
        }
    }

    /// `pass` lets time pass by the store's clock, as [`TaskStore::clock`] tells it and
    /// leases are judged by. Without it the suite waits for that clock, and the lease
    /// should be a few seconds; with it the clock should stand still otherwise.
    #[must_use]
    pub fn passing<F, Fut>(mut self, pass: F) -> Self
    where
        F: Fn(Duration) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.pass = Some(Box::new(move |time| Box::pin(pass(time))));
        self
    }

    /// What has to live as long as the stand: a folder, a server.
    #[must_use]
    pub fn keep(mut self, what: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(what));
        self
    }

    /// Opens it, without entering.
    pub async fn open(&self) -> Arc<dyn TaskStore> {
        self.open.open().await
    }

    /// Opens and enters it; nobody holds the name.
    pub(super) async fn daemon(&self, node: &str) -> Daemon {
        self.start(node, None).await
    }

    /// The same where it is known that the process of an incarnation ended.
    pub(super) async fn start(&self, node: &str, replaces: Option<Incarnation>) -> Daemon {
        let store = self.open().await;
        let entered = entered(&*store, node, replaces).await;
        Daemon {
            node: node.to_owned(),
            entered,
            store,
        }
    }

    /// Lets time pass by the store's clock.
    pub(super) async fn pass(&self, store: &dyn TaskStore, time: Duration) {
        if let Some(pass) = &self.pass {
            return pass(time).await;
        }
        // It tells whole seconds, and the one that it tells now may be all but over.
        let until = clock(store).await + time.as_secs().cast_signed() + 1;
        let passed = crate::wait_until(DEADLINE, || async move {
            (clock(store).await >= until).then_some(())
        });
        assert!(
            passed.await.is_some(),
            "the store's clock did not go on to {until} within {DEADLINE:?}"
        );
    }

    /// Lets the leases of all run out but for these, which renew theirs.
    pub(super) async fn outlive(&self, living: &[&Daemon]) {
        let Some(first) = living.first() else {
            panic!("somebody has to look at the clock");
        };
        let lease = first.lease() + Duration::from_secs(1);
        self.pass(&*first.store, lease).await;
        for daemon in living {
            ok(daemon.store.renew().await);
        }
    }
}

/// What the store's clock says.
pub(super) async fn clock(store: &dyn TaskStore) -> UnixTime {
    match ok(store.clock().await) {
        Some(now) => now,
        None => panic!("a store that is shared has a clock of its own"),
    }
}

/// A daemon of a node.
pub(super) struct Daemon {
    pub(super) node: String,
    pub(super) entered: Entered,
    pub(super) store: Arc<dyn TaskStore>,
}

impl Daemon {
    /// How long its entry lives.
    pub(super) fn lease(&self) -> Duration {
        match self.entered.lease {
            Some(lease) => lease,
            None => panic!("an entry in a store that is shared has a lease"),
        }
    }

    /// Dies without a word. The incarnation that it was.
    pub(super) fn kill(self) -> Incarnation {
        self.entered.incarnation
    }
}

/// An entry of some process.
pub(super) fn entry(node: &str, replaces: Option<Incarnation>) -> Entry {
    Entry {
        node: node.to_owned(),
        holder: Holder {
            host: format!("{node}.example"),
            machine: format!("boot of {node}"),
            process: 4_711,
            started: "12345".to_owned(),
        },
        replaces,
    }
}

/// Enters a store; nobody may hold the name.
pub(super) async fn entered(
    store: &dyn TaskStore,
    node: &str,
    replaces: Option<Incarnation>,
) -> Entered {
    match ok(store.enter(&entry(node, replaces)).await) {
        Entrance::Entered(entered) => entered,
        Entrance::Held(held) => panic!("nobody holds {node}, the store says {held:?} does"),
    }
}
