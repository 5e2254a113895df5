//! Everything that a plan is made from, at one moment. It is kept between two looks, so
//! that a look costs what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::warn;
use wpk_api::{AgentId, StoreError, StoreResult, TaskStore, UnixTime};
use wpk_rollout::{Agent, Attempt, Desired, Inputs, Plan, plan};

use super::book::{Book, Known};
use super::fleet::{self, Fleet};
use super::sources::Sources;
use super::tasks::Tasks;

/// What is known.
#[derive(Default)]
pub(crate) struct Eyes {
    known: Known,
    pub(super) book: Book,
    pub(super) fleet: Fleet,
    pub(super) tasks: Tasks,
    /// The directory did not answer; its words.
    directory: Option<String>,
    /// Something changed since the last plan after which nothing was left to do.
    news: bool,
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
    /// Reads the documents.
    pub(super) async fn read_book(&mut self, store: &dyn TaskStore) -> StoreResult<()> {
        let book = Book::read(store, &mut self.known).await?;
        if !Arc::ptr_eq(&book.labels, &self.book.labels) && book.labels != self.book.labels {
            self.fleet.forget();
        }
        self.news |= !book.is_same(&self.book);
        self.book = book;
        Ok(())
    }

    /// Whether a plan could say something new, but for what time alone changes.
    pub(super) const fn has_news(&self) -> bool {
        self.news
    }

    /// There is nothing left to do until something changes.
    pub(super) const fn planned(&mut self) {
        self.news = false;
    }

    /// Reads the agents and what is new of tasks, in this order: a permit of an epoch that
    /// is over cannot be used any more then.
    pub(super) async fn look(&mut self, sources: &Sources<'_>) -> StoreResult<View> {
        let desired = self.book.desired(&sources.releases);
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
        let holds = self.book.holds.iter();
        Ok(View {
            desired: Arc::new(desired),
            agents,
            attempts: self.tasks.all(),
            holds: Arc::new(
                holds
                    .map(|(agent, hold)| (*agent, hold.reason.as_str().into()))
                    .collect(),
            ),
            now: sources.time().await?,
        })
    }
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
