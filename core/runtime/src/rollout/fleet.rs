//! All agents as the planner sees them: read from the directory page by page, as often as
//! it costs little.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{
    AgentDetails, AgentId, AgentInfo, ConnectionStatus, DirectoryError, Labels, UnixTime,
};
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
    /// What each was made from.
    prints: Vec<(AgentId, u64)>,
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
        let mut read = read(sources, labels, &self.prints).await?;
        for (_, agent) in &mut read.changed {
            sites.assign(&mut agent.member);
        }
        self.took = cost.elapsed();
        self.read = Some(begun);
        Ok(read.over(&mut self.agents, &mut self.prints))
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

/// What was read: of an agent that is as it was nothing but that.
struct Read {
    /// Of each agent its id, and a digest of all that was said of it.
    prints: Vec<(AgentId, u64)>,
    /// Those that are new or other than before, by their place.
    changed: Vec<(usize, Agent)>,
}

impl Read {
    /// All agents, of which `agents` were there before with `prints`.
    fn over(self, agents: &mut Arc<Vec<Agent>>, prints: &mut Vec<(AgentId, u64)>) -> bool {
        let ids = |prints: &[(AgentId, u64)]| prints.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let same = self.prints.len() == prints.len() && ids(&self.prints) == ids(prints);
        let news = !self.changed.is_empty() || !same;
        if same && news {
            let known = Arc::<Vec<Agent>>::make_mut(agents);
            for (at, agent) in self.changed {
                if let Some(known) = known.get_mut(at) {
                    *known = agent;
                }
            }
        } else if news {
            let before = agents.iter().map(|agent| (agent.member.id, agent));
            let before: HashMap<AgentId, &Agent> = before.collect();
            let mut changed = self.changed.into_iter().peekable();
            let all = self.prints.iter().enumerate().filter_map(|(at, (id, _))| {
                match changed.next_if(|(of, _)| *of == at) {
                    Some((_, agent)) => Some(agent),
                    None => before.get(id).map(|agent| Agent::clone(agent)),
                }
            });
            *agents = Arc::new(all.collect());
        }
        *prints = self.prints;
        news
    }
}

async fn read(
    sources: &Sources<'_>,
    labels: &BTreeMap<AgentId, Labels>,
    before: &[(AgentId, u64)],
) -> Result<Read, DirectoryError> {
    let directory = sources.directory;
    let mut read = Read {
        prints: Vec::with_capacity(before.len()),
        changed: Vec::new(),
    };
    let mut before = before.iter().copied().peekable();
    let mut after = None;
    while read.prints.len() < MOST {
        let page = directory.list(after, PAGE).await?;
        let Some(last) = page.agents.last() else {
            break;
        };
        after = Some(last.id);
        let ids: Vec<AgentId> = page.agents.iter().map(|agent| agent.id).collect();
        let details = directory.details(&ids).await?.into_iter();
        let details: HashMap<AgentId, AgentDetails> =
            details.map(|details| (details.id, details)).collect();
        for info in &page.agents {
            let (details, ours) = (details.get(&info.id), labels.get(&info.id));
            let print = print(info, details, ours);
            while before.next_if(|(id, _)| *id < info.id).is_some() {}
            if before.next_if(|known| *known == (info.id, print)).is_none() {
                let agent = agent(sources, info, details, ours);
                read.changed.push((read.prints.len(), agent));
            }
            read.prints.push((info.id, print));
        }
        if !page.more {
            break;
        }
    }
    Ok(read)
}

/// When it was seen last; of one that is connected that is not asked, and changes all the
/// time.
fn last_seen(info: &AgentInfo, details: Option<&AgentDetails>) -> Option<UnixTime> {
    let seen = details.and_then(|one| one.last_seen);
    seen.filter(|_| info.connection != ConnectionStatus::Active)
}

/// All that an [`Agent`] is made from, in short. Which other number two that differ have is
/// nobody's to choose: its keys are those of this process.
fn print(info: &AgentInfo, details: Option<&AgentDetails>, ours: Option<&Labels>) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let AgentInfo {
        id,
        name,
        platform,
        version,
        connection,
        group,
        node,
    } = info;
    let own = details.map(|one| &one.labels);
    let seen = last_seen(info, details);
    let connection = connection.as_str();
    KEYS.hash_one((
        id,
        name,
        platform,
        version,
        (connection, group, node),
        own,
        ours,
        seen,
    ))
}

fn agent(
    sources: &Sources<'_>,
    info: &AgentInfo,
    details: Option<&AgentDetails>,
    ours: Option<&Labels>,
) -> Agent {
    let mut own = details.map(|one| one.labels.clone()).unwrap_or_default();
    // Ours are the operator's word.
    own.extend(ours.cloned().unwrap_or_default());
    Agent {
        member: Member::of(info, &own),
        last_seen: last_seen(info, details),
        unsupported: unsupported(sources, info),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::sources::Sources;
    use wpk_testkit::memory::{MemoryDirectory, MemoryStore, agent as info};

    #[tokio::test(start_paused = true)]
    async fn what_is_read_again_is_what_the_directory_says() {
        let (store, directory) = (MemoryStore::new(), MemoryDirectory::default());
        let mut labels = BTreeMap::new();
        let mut fleet = Fleet::default();
        let sites = Sites::default();
        let look = async |fleet: &mut Fleet, labels: &BTreeMap<AgentId, Labels>| {
            let sources = Sources {
                store: &store,
                shared: false,
                directory: &directory,
                cluster_node: None,
                releases: wpk_rollout::Releases::default(),
                now: 0,
            };
            fleet.forget();
            let changed = fleet.refresh(&sources, labels, &sites).await.unwrap();
            let mut anew = Fleet::default();
            anew.refresh(&sources, labels, &sites).await.unwrap();
            assert_eq!(fleet.agents, anew.agents);
            changed
        };
        assert!(!look(&mut fleet, &labels).await, "nobody is there");
        directory.put((1..=2_500).map(|id| info(id, "Wazuh v4.7.0")));
        assert!(look(&mut fleet, &labels).await);
        assert!(!look(&mut fleet, &labels).await, "nothing changed");
        directory.put([info(7, "Wazuh v4.8.0"), info(2_400, "Wazuh v4.8.0")]);
        assert!(look(&mut fleet, &labels).await);
        // One joins and one is other at the same time.
        directory.put([info(8, "Wazuh v4.9.0"), info(9_000, "Wazuh v4.7.0")]);
        assert!(look(&mut fleet, &labels).await);
        assert_eq!(fleet.agents.len(), 2_501);
        let site = [("site".to_owned(), "lyon".to_owned())];
        labels.insert(fleet.agents[3].member.id, Labels::from(site));
        assert!(look(&mut fleet, &labels).await);
        assert!(!look(&mut fleet, &labels).await);
    }
}
