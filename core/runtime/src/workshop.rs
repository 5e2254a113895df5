//! What all rooms of the engine work with: the settings, the parts they were
//! handed, and the tools that are there once for everybody.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use wpk_api::{StoreResult, TaskStore, UnixTime};
use wpk_config::{DeliverySettings, Settings, TaskSettings};

use crate::bandwidth::Bandwidth;
use crate::cache::{Cache, Counts};
use crate::clears::Clears;
use crate::clock::SharedClock;
use crate::delivery::{Pieces, Staged};
use crate::following::Following;
use crate::in_hand::TasksInHand;
use crate::manager_version::ManagerVersion;
use crate::membership::Membership;
use crate::metrics::{self, Count, Measured, Metrics};
use crate::parts::{Components, NamedObserver, StartError};
use crate::resolver::Resolver;
use crate::rollout::Rollouts;
use crate::stock::Stock;
use crate::trust;
use crate::wishes::Wishes;

/// The sections that can be changed while the engine runs.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) delivery: DeliverySettings,
    pub(crate) tasks: TaskSettings,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            delivery: settings.delivery.clone(),
            tasks: settings.tasks.clone(),
        }
    }
}

/// One per engine.
pub(crate) struct Workshop {
    /// As they were at the start.
    pub(crate) settings: Settings,
    /// What of them has changed since.
    pub(crate) limits: watch::Sender<Limits>,
    pub(crate) parts: Components,
    pub(crate) manager: ManagerVersion,
    pub(crate) clock: SharedClock,
    pub(crate) resolver: Resolver,
    /// Which versions there are.
    pub(crate) stock: Stock,
    pub(crate) cache: Cache,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) rollouts: Rollouts,
    pub(crate) pieces: Pieces,
    /// What was sent ahead.
    pub(crate) staged: Arc<Staged>,
    pub(crate) in_hand: Arc<TasksInHand>,
    /// What waits in the queue.
    pub(crate) wishes: Arc<Wishes>,
    /// Wakes the queue.
    pub(crate) new_tasks: Notify,
    /// Whether what the last run left was found again, and requests are answered.
    pub(crate) begun: watch::Sender<bool>,
    /// Those who follow the feed over a socket.
    pub(crate) following: Following,
    /// How often somebody else may have answered in our place.
    pub(crate) was_away: watch::Sender<u64>,
    pub(crate) clears: Arc<Clears>,
    /// Since when agents may be dialling in again.
    pub(crate) started: Instant,
    /// Work that outlives the request that began it.
    pub(crate) background: TaskTracker,
}

impl Workshop {
    /// Puts the tools together and opens the cache.
    ///
    /// # Errors
    /// [`StartError`] if the cache folder or the CA files cannot be used.
    pub(crate) fn open(
        settings: Settings,
        mut parts: Components,
        clock: SharedClock,
    ) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let membership = Arc::new(Membership::new());
        if settings.telemetry.listen.is_some() {
            let observer = Arc::new(Count {
                metrics: metrics.clone(),
                membership: membership.clone(),
                node: settings.node.name.clone(),
            });
            let name = metrics::READER.to_owned();
            parts.observers.push(NamedObserver { name, observer });
            parts.store = Arc::new(Measured {
                store: parts.store.clone(),
                metrics: metrics.clone(),
            });
        }
        let signers = trust::load(&settings, &clock)?;
        let background = TaskTracker::new();
        let folder = settings.path(&settings.cache.dir);
        Ok(Self {
            resolver: Resolver::new(parts.providers.clone()),
            stock: Stock::default(),
            cache: Cache::open(folder, &settings.cache, signers)?.counting(Counts {
                found: metrics.cache_found.clone(),
                fetched: metrics.cache_fetched.clone(),
            }),
            bandwidth: Bandwidth::new(settings.delivery.max_bandwidth.map(|rate| rate.0)),
            staged: Arc::default(),
            pieces: Pieces::new(settings.delivery.max_memory.0),
            manager: ManagerVersion::new(settings.node.version),
            metrics,
            membership,
            rollouts: Rollouts::default(),
            in_hand: Arc::default(),
            wishes: Arc::default(),
            new_tasks: Notify::new(),
            begun: watch::Sender::new(false),
            following: Following::default(),
            was_away: watch::Sender::new(0),
            clears: Clears::new(parts.transport.clone(), background.clone()),
            started: Instant::now(),
            background,
            clock,
            limits: watch::Sender::new(Limits::of(&settings)),
            settings,
            parts,
        })
    }

    /// `[delivery]` as it is now.
    pub(crate) fn delivery(&self) -> DeliverySettings {
        self.limits.borrow().delivery.clone()
    }

    /// `[tasks]` as it is now.
    pub(crate) fn tasks(&self) -> TaskSettings {
        self.limits.borrow().tasks.clone()
    }

    /// Where tasks are kept.
    pub(crate) fn store(&self) -> &dyn TaskStore {
        &*self.parts.store
    }

    /// The name under which this daemon's tasks are stored.
    pub(crate) fn node(&self) -> &str {
        &self.settings.node.name
    }

    /// Now, by the clock that all who share the store go by.
    ///
    /// # Errors
    /// The store has a clock and does not tell it.
    pub(crate) async fn store_time(&self) -> StoreResult<UnixTime> {
        Ok(self.store().clock().await?.unwrap_or_else(|| self.now()))
    }

    /// Now, as it is stored with tasks.
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }
}
