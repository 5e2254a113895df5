//! Everything that a plan is made from, at one moment. It is kept between two looks, so
//! that a look costs what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::warn;
use wpk_api::{AgentId, StoreError, StoreResult, TaskStore, UnixTime};
use wpk_rollout::{Agent, Attempt, Desired, Gate, Inputs, Plan, RolloutState, plan};

use super::book::{Book, Known, Stamp};
use super::fleet::{self, Fleet};
use super::sources::Sources;
use super::tasks::Tasks;

/// What is known.
#[derive(Default)]
pub(crate) struct Eyes {
    known: Known,
    /// How documents stood when they were read.
    stamp: Option<Stamp>,
    pub(super) book: Book,
    desired: Option<Arc<Desired>>,
    holds: Arc<BTreeMap<AgentId, Arc<str>>>,
    pub(super) fleet: Fleet,
    pub(super) tasks: Tasks,
    /// The directory did not answer; its words.
    directory: Option<String>,
    /// Something changed since the last plan after which nothing was left to do.
    news: bool,
    /// Some of it may decide something.
    urgent: bool,
    /// How many more failures decide nothing, as of the last plan.
    slack: usize,
}

/// What a plan is made from.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) desired: Arc<Desired>,
    pub(crate) agents: Arc<Vec<Agent>>,
    pub(crate) attempts: Arc<Vec<Attempt>>,
    pub(crate) holds: Arc<BTreeMap<AgentId, Arc<str>>>,
    pub(crate) now: UnixTime,
}

impl Eyes {
    /// Reads the documents, if any was written since; in any case where there is no stamp.
    pub(super) async fn read_book(
        &mut self,
        store: &dyn TaskStore,
        stamp: Option<Stamp>,
    ) -> StoreResult<()> {
        if stamp.is_some() && self.stamp == stamp {
            return Ok(());
        }
        self.stamp = None;
        let book = Book::read(store, &mut self.known).await?;
        if !Arc::ptr_eq(&book.labels, &self.book.labels) && book.labels != self.book.labels {
            self.fleet.forget();
        }
        if !book.is_same(&self.book) {
            (self.news, self.urgent) = (true, true);
            self.desired = None;
            let holds = book.holds.iter();
            let holds = holds.map(|(agent, hold)| (*agent, hold.reason.as_str().into()));
            self.holds = Arc::new(holds.collect());
        }
        self.book = book;
        self.stamp = stamp;
        Ok(())
    }

    /// Whether a plan could say something new, but for what time alone changes.
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// Whether it may decide something: an operator wishes something, or more failed than may.
    pub(super) const fn is_urgent(&self) -> bool {
        self.urgent || self.tasks.failures() > self.slack
    }

    /// A plan was made of all that is known.
    pub(super) fn planned(&mut self, made: &Plan) {
        self.urgent = false;
        self.slack = slack(made);
        self.tasks.count_failures_anew();
    }

    /// It could not be carried out: something changed meanwhile.
    pub(super) const fn missed(&mut self) {
        self.urgent = true;
    }

    /// There is nothing left to do until something changes.
    pub(super) const fn rest(&mut self) {
        self.news = false;
    }

    /// Reads the agents and what is new of tasks, in this order: a permit of an epoch that
    /// is over cannot be used any more then.
    pub(super) async fn look(&mut self, sources: &Sources<'_>) -> StoreResult<View> {
        let desired = self.desired.take();
        let desired = desired.unwrap_or_else(|| Arc::new(self.book.desired(&sources.releases)));
        self.desired = Some(desired.clone());
        let (labels, sites) = (&self.book.labels, &desired.sites);
        match self.fleet.refresh(sources, labels, sites).await {
            Ok(changed) => {
                self.news |= changed;
                if self.directory.take().is_some() {
                    tracing::info!("the agent directory answers again; rollouts go on");
                }
            }
            Err(error) => {
                if self.directory.is_none() {
                    warn!(%error, "agents cannot be read; rollouts go by what was seen last");
                }
                self.directory = Some(error.to_string());
            }
        }
        let agents = self.fleet.agents.clone();
        let ids = agents.iter().map(|agent| agent.member.id);
        let place = self.tasks.place();
        let followed = self.tasks.follow(sources.store, &self.book, ids).await;
        self.news |= self.tasks.place() != place;
        if followed.is_err() {
            self.tasks.forget();
        }
        followed?;
        Ok(View {
            desired,
            agents,
            attempts: self.tasks.all(),
            holds: self.holds.clone(),
            now: sources.time().await?,
        })
    }
}

/// How many more may fail before anything is halted.
fn slack(made: &Plan) -> usize {
    let running = made.rollouts.iter();
    let running = running.filter(|rollout| rollout.state == RolloutState::Running);
    let waves = running.flat_map(|rollout| &rollout.waves);
    let open = waves.filter(|wave| wave.gate != Gate::NotOpen);
    let left = open.map(|wave| wave.may_fail.saturating_sub(wave.tally.failed));
    left.min().unwrap_or_default()
}

impl View {
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs {
            desired: &self.desired,
            agents: &self.agents,
            attempts: &self.attempts,
            holds: &self.holds,
            now: self.now,
        }
    }

    /// The same with other documents.
    pub(crate) fn with(&self, desired: Desired) -> Self {
        let mut view = self.clone();
        if desired.sites != self.desired.sites {
            let agents = Arc::<Vec<Agent>>::make_mut(&mut view.agents);
            fleet::place(agents, &desired.sites);
        }
        view.desired = Arc::new(desired);
        view
    }

    /// Plans, beside the threads that answer.
    pub(crate) async fn plan(&self) -> StoreResult<Plan> {
        self.beside(|view| plan(&view.inputs())).await
    }

    /// Does something that takes long, beside the threads that answer.
    pub(crate) async fn beside<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> StoreResult<T> {
        let view = self.clone();
        let done = tokio::task::spawn_blocking(move || what(&view)).await;
        done.map_err(|crash| StoreError::Unavailable(format!("the planner crashed: {crash}")))
    }
}
