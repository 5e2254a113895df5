//! What every [`AgentDirectory`] must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::directory_suite::{self, Stand};
//! # async fn example(with_agents: impl Fn(usize) -> Stand) {
//! directory_suite::run(async |count| with_agents(count)).await;
//! # }
//! ```
//!
//! The author's function makes a directory that knows so many agents (0, a few,
//! 10,000) and says in a [`Stand`] how to open it and what it should say of
//! them. The suite panics with the first thing that is wrong. Its parts:
//! questions about given agents ([`lookup`]), the list ([`list`]), enrolment
//! ([`enroll`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wpk_api::{AgentDirectory, AgentId, AgentInfo};

use crate::suite::{Keep, Opener, Options, ok, within};

pub mod enroll;
pub mod list;
pub mod lookup;

/// The most agents a [`Stand`] is asked for.
pub const MANY: usize = 10_000;
/// Agents of the smaller stories.
const FEW: usize = 23;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run<M>(make: M)
where
    M: AsyncFn(usize) -> Stand,
{
    run_with(make, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with<M>(make: M, options: &Options)
where
    M: AsyncFn(usize) -> Stand,
{
    for count in [0, FEW, MANY] {
        let stand = make(count).await;
        assert_eq!(stand.agents.len(), count, "the stand's agents");
        let directory = stand.open.open().await;
        lookup::run(&directory, &stand).await;
        list::run(&directory, &stand).await;
        if count != MANY {
            enroll::run(&directory).await;
        }
        drop(directory);
        if count == FEW {
            a_restart_changes_nothing(&stand).await;
        }
    }
    options.no_leaks().await;
}

/// A directory and what it should say.
pub struct Stand {
    open: Opener<dyn AgentDirectory>,
    agents: BTreeMap<AgentId, AgentInfo>,
    keep: Keep,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("agents", &self.agents.len())
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// `agents` as the directory should describe them, without the manager
    /// itself; `open` opens the directory, each time on the same data.
    pub fn new<F, Fut>(agents: impl IntoIterator<Item = AgentInfo>, open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn AgentDirectory>> + Send + 'static,
    {
        let agents = agents.into_iter().map(|agent| (agent.id, agent));
        Self {
            open: Opener::new(open),
            agents: agents.collect(),
            keep: None,
        }
    }

    /// What must live as long as the stand.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    fn ids(&self) -> Vec<AgentId> {
        self.agents.keys().copied().collect()
    }

    /// Ids that no agent has: between, behind and far from those that are there.
    fn unknown(&self, count: u32) -> Vec<AgentId> {
        let behind = self.ids().last().map_or(0, |last| last.get());
        let far = i64::from(i32::MAX);
        let behind = (0..i64::from(count)).map(|n| i64::from(behind) + 1 + n * 3);
        [far, far - 1]
            .into_iter()
            .chain(behind)
            .filter_map(|id| AgentId::new(id).ok())
            .filter(|id| !self.agents.contains_key(id))
            .collect()
    }
}

async fn a_restart_changes_nothing(stand: &Stand) {
    let directory = stand.open.open().await;
    lookup::finds(&*directory, &stand.ids(), stand).await;
}

/// The answer to one question.
async fn found(directory: &dyn AgentDirectory, ids: &[AgentId]) -> Vec<AgentInfo> {
    ok("lookup", within("lookup", directory.lookup(ids)).await)
}
