//! A directory and what it should say, as its author describes them, and the
//! question that all stories ask.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wpk_api::{AgentDirectory, AgentId, AgentInfo};

use crate::suite::{Keep, Opener, ok, within};

/// The most agents a [`Stand`] is asked for.
pub const MANY: usize = 10_000;
/// Agents of the smaller stories.
pub(super) const FEW: usize = 23;

/// A directory and what it should say.
pub struct Stand {
    pub(super) open: Opener<dyn AgentDirectory>,
    pub(super) agents: BTreeMap<AgentId, AgentInfo>,
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

    pub(super) fn ids(&self) -> Vec<AgentId> {
        self.agents.keys().copied().collect()
    }

    /// Ids that no agent has: between, behind and far from those that are there.
    pub(super) fn unknown(&self, count: u32) -> Vec<AgentId> {
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

/// The answer to one question.
pub(super) async fn found(directory: &dyn AgentDirectory, ids: &[AgentId]) -> Vec<AgentInfo> {
    ok("lookup", within("lookup", directory.lookup(ids)).await)
}
