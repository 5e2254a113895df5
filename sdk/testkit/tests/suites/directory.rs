//! Directories in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use wpk_api::{
    AgentDirectory, AgentId, AgentInfo, AgentPage, ConnectionStatus, DirectoryError, Platform,
};
use wpk_testkit::directory_suite::{self, Stand};
use wpk_testkit::suite::now;

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    UnknownIsAnError,
    GivesTwice,
    ForgetsNames,
    ListsTheManager,
    AlwaysMore,
    NeverMore,
    StartsAtAfter,
    AtMost1000,
}

struct Memory(Fault, BTreeMap<AgentId, AgentInfo>);

#[async_trait]
impl AgentDirectory for Memory {
    async fn lookup(&self, ids: &[AgentId]) -> Result<Vec<AgentInfo>, DirectoryError> {
        tokio::task::yield_now().await;
        let mut found: Vec<_> = ids
            .iter()
            .filter_map(|id| self.1.get(id).cloned())
            .collect();
        match self.0 {
            Fault::UnknownIsAnError if found.len() < ids.len() => {
                return Err(DirectoryError::Malformed("unknown".into()));
            }
            Fault::GivesTwice => found.extend(found.clone()),
            Fault::ForgetsNames => found.iter_mut().for_each(|agent| agent.name = None),
            Fault::AtMost1000 => found.truncate(1000),
            _ => {}
        }
        Ok(found)
    }

    async fn list(
        &self,
        after: Option<AgentId>,
        limit: usize,
    ) -> Result<AgentPage, DirectoryError> {
        tokio::task::yield_now().await;
        let start = match (self.0, after) {
            (Fault::ListsTheManager, None) => Bound::Unbounded,
            (Fault::StartsAtAfter, Some(after)) => Bound::Included(after),
            (_, after) => Bound::Excluded(after.unwrap_or(AgentId::MANAGER)),
        };
        let mut rest = self.1.range((start, Bound::Unbounded));
        let page = rest.by_ref().take(limit);
        let agents = page.map(|(_, agent)| agent.clone()).collect();
        Ok(AgentPage {
            agents,
            more: match self.0 {
                Fault::AlwaysMore => true,
                Fault::NeverMore => false,
                _ => rest.next().is_some(),
            },
        })
    }
}

fn agent(id: i64) -> AgentInfo {
    AgentInfo {
        id: AgentId::new(id).unwrap(),
        name: Some(format!("agent{id}")),
        platform: Platform::default(),
        version: None,
        connection: ConnectionStatus::Active,
        group: None,
        node: None,
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move {
        directory_suite::run(async |count| {
            let agents: Vec<_> = (1..).map(|n| agent(n * 3)).take(count).collect();
            let mut all: BTreeMap<_, _> = agents.iter().map(|one| (one.id, one.clone())).collect();
            all.insert(AgentId::MANAGER, agent(0));
            Stand::new(agents, move || {
                now(Arc::new(Memory(fault, all.clone())) as Arc<dyn AgentDirectory>)
            })
        })
        .await;
    })
}

#[test]
fn a_good_directory_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn bad_directories_are_found_out() {
    complains(&run(Fault::UnknownIsAnError), "lookup failed");
    complains(&run(Fault::GivesTwice), "given twice");
    complains(&run(Fault::ForgetsNames), "agent3");
    complains(&run(Fault::ListsTheManager), "the manager is not listed");
    complains(&run(Fault::AlwaysMore), "says there is more");
    complains(&run(Fault::NeverMore), "in pages of");
    complains(&run(Fault::StartsAtAfter), "up to id 0");
    complains(&run(Fault::AtMost1000), "is missing among 1000");
}
