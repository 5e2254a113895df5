//! The one live link of each connected agent: who can be reached at the moment,
//! and who waits for whom to come.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use wpk_api::AgentId;

use crate::goodbye::{Ending, Goodbye};
use crate::link::Link;

/// The live link of each connected agent.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: RwLock<HashMap<AgentId, Arc<Link>>>,
    /// Wakes those who wait for an agent.
    arrived: Notify,
}

impl Links {
    /// The live link of an agent.
    pub(crate) fn get(&self, agent: AgentId) -> Option<Arc<Link>> {
        self.read(|links| links.get(&agent).filter(|link| link.is_live()).cloned())
    }

    /// All that are live.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.read(|links| {
            let live = links.values().filter(|link| link.is_live());
            live.cloned().collect()
        })
    }

    /// Shows which agents are connected.
    pub(crate) fn with_connected<T>(&self, view: impl FnOnce(&dyn Fn(AgentId) -> bool) -> T) -> T {
        self.read(|links| view(&|agent| links.get(&agent).is_some_and(|link| link.is_live())))
    }

    /// Puts in a new link; an older one of the same agent is told and ended.
    /// Returns whether there was one.
    pub(crate) fn insert(&self, link: Arc<Link>) -> bool {
        let older = self.write(|links| links.insert(link.agent, link));
        self.arrived.notify_waiters();
        older.is_some_and(|older| {
            let was_live = older.is_live();
            older.end(Ending::Ours(Goodbye::replaced()));
            was_live
        })
    }

    /// Returns once the agent has a live link.
    pub(crate) async fn wait_for(&self, agent: AgentId) {
        loop {
            let arrived = self.arrived.notified();
            if self.get(agent).is_some() {
                return;
            }
            arrived.await;
        }
    }

    /// Takes out a link, unless a newer one has taken its place.
    pub(crate) fn remove(&self, link: &Arc<Link>) {
        self.write(|links| {
            if links
                .get(&link.agent)
                .is_some_and(|current| Arc::ptr_eq(current, link))
            {
                links.remove(&link.agent);
            }
        });
    }

    /// Ends the connections of all agents.
    pub(crate) fn end_all(&self, goodbye: &Goodbye) {
        let links = self.write(std::mem::take);
        for link in links.into_values() {
            link.end(Ending::Ours(goodbye.clone()));
        }
    }

    fn read<T>(&self, view: impl FnOnce(&HashMap<AgentId, Arc<Link>>) -> T) -> T {
        view(&self.links.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut HashMap<AgentId, Arc<Link>>) -> T) -> T {
        change(&mut self.links.write().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Arc<Link> {
        Link::new(AgentId::new(7).unwrap(), false, false).0
    }

    #[test]
    fn a_newer_link_takes_the_place_of_an_older_one() {
        let links = Links::default();
        let (older, newer) = (link(), link());
        assert!(!links.insert(Arc::clone(&older)));
        assert!(links.insert(Arc::clone(&newer)));
        assert!(matches!(older.ending(), Some(Ending::Ours(_))));
        links.remove(&older);
        assert!(links.get(newer.agent).is_some());
        links.remove(&newer);
        assert!(links.get(newer.agent).is_none());
    }
}
