//! The engine: the parts put together, started and stopped.
//!
//! A request's way: a source hands it to [`Intake`](crate::intake), which asks
//! the directory, applies the [rules](crate::rules) and stores tasks; the
//! [queue](crate::delivery) claims them and delivers; the agent's word comes
//! back through the intake.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};
use wpk_api::{CancellationToken, RequestService};

use crate::clock::{Clock, WallClock};
use crate::intake::Intake;
use crate::limits::Control;
use crate::membership::{self, EnterError};
use crate::parts::{Components, StartError};
use crate::recover::recover;
use crate::workshop::Workshop;
use crate::{delivery, housekeeping, observers, rollout};
use wpk_config::Settings;

/// How long deliveries that may not be cut short (the agent was told to run the
/// installer) are waited for when the daemon stops.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// How long agents that are being told to stop repeating themselves are waited for.
const CLEAR_GRACE: Duration = Duration::from_secs(1);

/// A manager that is ready to run.
pub struct Engine {
    workshop: Arc<Workshop>,
    /// How the last run ended, if it crashed.
    crash: Option<String>,
}

/// Why a running engine ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store could not be used at the start.
    #[error("the task store cannot be used at the start: {0}; `wpkctl doctor` says more")]
    Recovery(#[from] wpk_api::StoreError),
    /// The directory cannot begin with the store.
    #[error("the list of agents cannot be used at the start: {0}")]
    Directory(wpk_api::DirectoryError),
    /// Another daemon has this one's name in a store that both share.
    #[error("{0}")]
    NameHeld(String),
    /// A later daemon entered the store under this one's name.
    #[error("the task store shut this daemon out: {0}; two daemons must not have one name")]
    ShutOut(String),
    /// A request source gave up.
    #[error(transparent)]
    Source(#[from] wpk_api::SourceError),
    /// A request source, the queue or the task manager's clock crashed.
    #[error("a part of the daemon crashed: {0}; restart it and report this")]
    Crashed(String),
}

impl Engine {
    /// Puts the parts together and opens the cache. Time is the machine's.
    ///
    /// # Errors
    /// [`StartError`] if the cache folder or the CA files cannot be used.
    pub fn new(settings: Settings, parts: Components) -> Result<Self, StartError> {
        Self::with_clock(settings, parts, Arc::new(WallClock))
    }

    /// Like [`new`](Engine::new), with another clock than the machine's. All
    /// that waits, the time-outs included, waits by tokio's timers in any case;
    /// a test that pauses them wants a [`TimerClock`](crate::TimerClock) here,
    /// made inside the same runtime.
    ///
    /// # Errors
    /// As for [`new`](Engine::new).
    pub fn with_clock(
        settings: Settings,
        parts: Components,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let workshop = Workshop::open(settings, parts, clock)?;
        Ok(Self {
            workshop: Arc::new(workshop),
            crash: None,
        })
    }

    /// The last run crashed, which `report` tells in a few words: deliveries that were
    /// interrupted by it are counted, and those that a crash interrupted twice end as
    /// Failed. A daemon that was killed has not crashed.
    #[must_use]
    pub fn after_crash(mut self, report: impl Into<String>) -> Self {
        self.crash = Some(report.into());
        self
    }

    /// The engine as the sources see it.
    pub fn service(&self) -> Arc<dyn RequestService> {
        Arc::new(Intake::new(self.workshop.clone()))
    }

    /// What changes the engine while it runs.
    pub fn control(&self) -> Control {
        Control::new(self.workshop.clone())
    }

    /// `false`: it was told to stop before the store could be entered.
    async fn enter(&self, stop: &CancellationToken) -> Result<bool, EngineError> {
        match membership::enter(&self.workshop, stop).await {
            Ok(()) => Ok(true),
            Err(EnterError::Stopped) => Ok(false),
            Err(EnterError::Held(why)) => Err(EngineError::NameHeld(why)),
            Err(EnterError::Store(error)) => Err(error.into()),
            Err(EnterError::Directory(error)) => Err(EngineError::Directory(error)),
        }
    }

    /// Finds the tasks of the last run again, then serves until `stop`.
    ///
    /// # Errors
    /// [`EngineError`] if it cannot begin, or if a source ends by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<(), EngineError> {
        if !self.enter(&stop).await? {
            return Ok(());
        }
        let interrupted = recover(&self.workshop, self.crash.as_deref()).await?;
        observers::catch_up(&self.workshop).await;
        // They hear of the last deliveries as well.
        let told = CancellationToken::new();
        let mut observers = JoinSet::new();
        observers.spawn(observers::run(self.workshop.clone(), told.clone()));
        let running = TaskTracker::new();
        let quit = stop.child_token();
        let mut helpers = JoinSet::new();
        // One that crashes takes the daemon with it: one that accepts tasks and
        // carries none out would look healthy.
        helpers.spawn(quit_after(
            quit.clone(),
            delivery::run_queue(
                self.workshop.clone(),
                interrupted,
                running.clone(),
                quit.clone(),
            ),
        ));
        helpers.spawn(quit_after(
            quit.clone(),
            housekeeping::run(self.workshop.clone(), quit.clone()),
        ));
        helpers.spawn(quit_after(
            quit.clone(),
            membership::keep(self.workshop.clone(), quit.clone()),
        ));
        helpers.spawn(quit_after(
            quit.clone(),
            rollout::run(self.workshop.clone(), quit.clone()),
        ));
        let (workshop, stopped) = (self.workshop.clone(), quit.clone());
        helpers.spawn(async move {
            stopped.cancelled().await;
            workshop.following.stop();
        });
        let (workshop, stopped) = (self.workshop.clone(), quit.clone());
        self.workshop.background.spawn(async move {
            let told = workshop.manager.announce(&*workshop.parts.directory);
            stopped.run_until_cancelled(told).await;
        });
        let mut sources = JoinSet::new();
        for source in self.workshop.parts.sources.clone() {
            let (service, quit) = (self.service(), quit.clone());
            sources.spawn(async move { source.serve(service, quit).await });
        }
        self.workshop.begun.send_replace(true);
        let mut result = Ok(());
        while let Some(ended) = sources.join_next().await {
            let ended = match ended {
                Ok(ended) => ended.map_err(EngineError::from),
                Err(crash) => Err(EngineError::Crashed(crash.to_string())),
            };
            if let Err(error) = ended {
                error!(%error, "a request source ended");
                result = result.and(Err(error));
                quit.cancel();
            }
        }
        quit.cancel();
        while let Some(ended) = helpers.join_next().await {
            result = result.and(ended.map_err(|crash| EngineError::Crashed(crash.to_string())));
        }
        self.wait_for_deliveries(&running).await;
        told.cancel();
        if let Some(Err(crash)) = observers.join_next().await {
            error!(%crash, "telling the observers crashed; they hear of the rest after the next start");
        }
        membership::leave(&self.workshop).await;
        match self.workshop.membership.shut_out() {
            Some(why) => result.and(Err(EngineError::ShutOut(why))),
            None => result,
        }
    }

    async fn wait_for_deliveries(&self, running: &TaskTracker) {
        running.close();
        self.workshop.background.close();
        if tokio::time::timeout(STOP_GRACE, running.wait())
            .await
            .is_err()
        {
            warn!(
                deliveries = running.len(),
                "stopping while agents still run installers; their word is awaited after the next start"
            );
        }
        // Agents that were not told to stop repeating themselves come again.
        let told = self.workshop.background.wait();
        if tokio::time::timeout(CLEAR_GRACE, told).await.is_err() {
            debug!("stopping before all agents were told that their result arrived");
        }
    }
}

/// Runs `work`; `quit` follows however it ends, a panic included.
async fn quit_after(quit: CancellationToken, work: impl Future<Output = ()>) {
    let _quit = quit.drop_guard();
    work.await;
}
