//! A directory whose agents a test writes down.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, AgentPage, ConnectionStatus, DirectoryError, Platform,
};

/// An active agent on ubuntu 22.04, x86_64, with this version text.
pub fn agent(id: u32, version: &str) -> AgentInfo {
    let text = |text: &str| Some(text.to_owned());
    AgentInfo {
        id: AgentId::new(id.into()).unwrap_or(AgentId::MANAGER),
        name: Some(format!("agent{id}")),
        platform: Platform {
            name: text("ubuntu"),
            major: text("22"),
            minor: text("04"),
            arch: text("x86_64"),
        },
        version: text(version),
        connection: ConnectionStatus::Active,
        group: None,
        node: None,
    }
}

/// The agents.
#[derive(Debug, Default)]
pub struct MemoryDirectory {
    agents: Mutex<BTreeMap<AgentId, AgentInfo>>,
    down: Mutex<Option<String>>,
    asked: AtomicUsize,
    numbers: AtomicBool,
}

impl MemoryDirectory {
    /// A directory of these agents.
    pub fn of(agents: impl IntoIterator<Item = AgentInfo>) -> Self {
        let directory = Self::default();
        directory.put(agents);
        directory
    }

    /// Enters agents, or changes them.
    pub fn put(&self, agents: impl IntoIterator<Item = AgentInfo>) {
        let agents = agents.into_iter().map(|agent| (agent.id, agent));
        self.agents().extend(agents);
    }

    /// From now on it cannot be reached, for this reason; `None`: it can again.
    pub fn set_down(&self, reason: Option<&str>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(str::to_owned);
    }

    /// Its agents' numbers are its own.
    pub fn number_agents(&self) {
        self.numbers.store(true, Ordering::SeqCst);
    }

    /// How often it was asked for agents by their ids.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<AgentId, AgentInfo>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> Result<(), DirectoryError> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        match &*down {
            Some(reason) => Err(DirectoryError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl AgentDirectory for MemoryDirectory {
    fn numbers_agents(&self) -> bool {
        self.numbers.load(Ordering::SeqCst)
    }

    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.reach()?;
        let agents = self.agents();
        Ok(ids
            .iter()
            .filter_map(|id| agents.get(id).cloned())
            .collect())
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        self.reach()?;
        let agents = self.agents();
        let after = Bound::Excluded(after.unwrap_or(AgentId::MANAGER));
        let mut rest = agents.range((after, Bound::Unbounded));
        let page = rest.by_ref().take(limit);
        let agents = page.map(|(_, agent)| agent.clone()).collect();
        let more = rest.next().is_some();
        Ok(AgentPage { agents, more })
    }
}
