//! What is known of this daemon's place in the store, and of the other nodes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};
use wpk_api::{CancellationToken, Entered, Incarnation};

/// What is known of this daemon's place.
pub(crate) struct Membership {
    entered: OnceLock<Entered>,
    others: Mutex<Arc<Others>>,
    renewed: Mutex<Option<Instant>>,
    /// Cancelled once a later daemon entered under this one's name.
    shut_out: CancellationToken,
    why: Mutex<String>,
}

/// The other nodes of the store, by name.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Their lease lives.
    pub(crate) living: BTreeSet<String>,
    /// It ran out.
    pub(crate) dead: BTreeSet<String>,
}

impl Membership {
    pub(crate) fn new() -> Self {
        Self {
            entered: OnceLock::new(),
            others: Mutex::default(),
            renewed: Mutex::default(),
            shut_out: CancellationToken::new(),
            why: Mutex::default(),
        }
    }

    /// Which run of a daemon this is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.entered.get().map_or(0, |entered| entered.incarnation)
    }

    /// How long the entry lives without a renewal.
    pub(super) fn lease(&self) -> Option<Duration> {
        self.entered.get().and_then(|entered| entered.lease)
    }

    /// It entered, by a call that began at `at`.
    pub(super) fn entered(&self, entered: Entered, at: Instant) {
        self.renewed_at(at);
        // Asked once.
        let _ = self.entered.set(entered);
    }

    /// Whether other daemons may have the same store.
    pub(crate) fn is_shared(&self) -> bool {
        self.lease().is_some()
    }

    /// Whether there are other nodes to which a task could be given.
    pub(crate) fn has_neighbours(&self) -> bool {
        !self.others().living.is_empty()
    }

    /// As of the last look, which is at most a third of a lease old while the store
    /// answers.
    pub(crate) fn others(&self) -> Arc<Others> {
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Seconds until the lease runs out unless it is renewed, below 0 where it has; `None`
    /// without one.
    pub(crate) fn lease_left(&self) -> Option<f64> {
        let lease = self.entered.get()?.lease?;
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        Some(lease.as_secs_f64() - renewed?.elapsed().as_secs_f64())
    }

    /// A later daemon has this one's name: nothing more may be done in it.
    pub(crate) fn is_shut_out(&self, why: &str) {
        let mut kept = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            why.clone_into(&mut kept);
        }
        drop(kept);
        self.shut_out.cancel();
    }

    /// Ends when [`is_shut_out`](Self::is_shut_out) was called.
    pub(crate) async fn until_shut_out(&self) {
        self.shut_out.cancelled().await;
    }

    /// Why it was shut out, if it was.
    pub(crate) fn shut_out(&self) -> Option<String> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        self.shut_out.is_cancelled().then(|| why.clone())
    }

    /// The lease was renewed by a call that began at `at`.
    pub(super) fn renewed_at(&self, at: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

impl Membership {
    /// The other nodes as they are now.
    pub(super) fn look(&self, others: Others) {
        let before = {
            let mut kept = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *kept, Arc::new(others))
        };
        let now = self.others();
        for node in now.dead.intersection(&before.living) {
            warn!(
                node,
                "the lease of another node ran out; what it has not begun is taken over where its agents come here"
            );
        }
        for node in now
            .living
            .difference(&before.living)
            .filter(|node| !before.dead.contains(*node))
        {
            info!(node, "another node shares the task store");
        }
        for node in now.living.intersection(&before.dead) {
            info!(node, "another node is back");
        }
    }
}
