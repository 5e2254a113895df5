//! All agents as the planner sees them: read from the directory page by page, as often as
//! it costs little.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{AgentDetails, AgentId, AgentInfo, ConnectionStatus, DirectoryError, Labels};
use wpk_rollout::{Agent, Member, Sites};

use super::sources::Sources;
use crate::rules;

/// How often it is read at most, and at least.
const EVERY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// At most one part in so many of the time is spent with reading.
const SHARE: u32 = 10;
/// Agents asked for at a time.
const PAGE: usize = 1_000;
/// The most agents; more than any manager has.
const MOST: usize = 1 << 20;

/// What was read last.
#[derive(Default)]
pub(super) struct Fleet {
    pub(super) agents: Arc<Vec<Agent>>,
    /// In which of these each of them is.
    sites: Sites,
    read: Option<Instant>,
    took: Duration,
}

impl Fleet {
    /// When it is to be read again; `None`: it never was.
    pub(super) fn due(&self) -> Option<Instant> {
        let every = (self.took * SHARE).clamp(EVERY.0, EVERY.1);
        self.read.map(|read| read + every)
    }

    /// Reads it if it is time; whether anything changed.
    ///
    /// # Errors
    /// The directory's; what was read before stays.
    pub(super) async fn refresh(
        &mut self,
        sources: &Sources<'_>,
        labels: &BTreeMap<AgentId, Labels>,
        sites: &Sites,
    ) -> Result<bool, DirectoryError> {
        if self.sites != *sites {
            self.sites = sites.clone();
            place(Arc::<Vec<Agent>>::make_mut(&mut self.agents), sites);
        }
        let begun = Instant::now();
        let cost = std::time::Instant::now();
        if self.due().is_some_and(|due| begun < due) {
            return Ok(false);
        }
        let mut agents = read(sources, labels).await?;
        place(&mut agents, sites);
        self.took = cost.elapsed();
        self.read = Some(begun);
        let changed = *self.agents != agents;
        if changed {
            self.agents = Arc::new(agents);
        }
        Ok(changed)
    }

    /// Labels changed: it is read again.
    pub(super) fn forget(&mut self) {
        self.read = None;
    }
}

/// Writes into each agent in which site it is, which selectors ask for.
pub(super) fn place(agents: &mut [Agent], sites: &Sites) {
    for agent in agents {
        sites.assign(&mut agent.member);
    }
}

async fn read(
    sources: &Sources<'_>,
    labels: &BTreeMap<AgentId, Labels>,
) -> Result<Vec<Agent>, DirectoryError> {
    let directory = sources.directory;
    let mut agents: Vec<Agent> = Vec::new();
    let mut after = None;
    while agents.len() < MOST {
        let page = directory.list(after, PAGE).await?;
        let Some(last) = page.agents.last() else {
            break;
        };
        after = Some(last.id);
        let ids: Vec<AgentId> = page.agents.iter().map(|agent| agent.id).collect();
        let details = directory.details(&ids).await?.into_iter();
        let details: HashMap<AgentId, AgentDetails> =
            details.map(|details| (details.id, details)).collect();
        let known = page.agents.iter().map(|info| {
            let details = details.get(&info.id);
            let mut own = details.map(|one| one.labels.clone()).unwrap_or_default();
            // Ours are the operator's word.
            own.extend(labels.get(&info.id).cloned().unwrap_or_default());
            Agent {
                member: Member::of(info, &own),
                // Of one that is connected it is not asked, and changes all the time.
                last_seen: details
                    .and_then(|one| one.last_seen)
                    .filter(|_| info.connection != ConnectionStatus::Active),
                unsupported: unsupported(sources, info),
            }
        });
        agents.extend(known);
        if !page.more {
            break;
        }
    }
    Ok(agents)
}

/// Why an agent can never be upgraded from here.
fn unsupported(sources: &Sources<'_>, info: &AgentInfo) -> Option<Arc<str>> {
    if let Some(why) = rules::never(info) {
        return Some(why.into());
    }
    if sources.shared {
        return None;
    }
    let node = rules::elsewhere(info, sources.cluster_node)?;
    let node = wpk_api::words::clean(node, 255);
    Some(format!("it is connected to node {node} of the cluster, which this manager does not reach: let the nodes share a store (PostgreSQL)").into())
}
