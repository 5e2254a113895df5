//! Agents that come and go: what each says of itself, and which node it is connected to.

use std::collections::BTreeSet;
use std::sync::Arc;

use wpk_api::{AgentId, UnixTime};
use wpk_wire::Hello;

use super::{Registry, lock};
use crate::record::Dialled;

impl Registry {
    /// Keeps what an agent says of itself, and how it came.
    pub(crate) fn greet(&self, id: AgentId, hello: &Hello, dialled: Dialled, now: UnixTime) {
        self.shown(id, &dialled.shown);
        // In one go, so that nobody's older word of the agent comes in between.
        let sharing = self.sharing.get();
        self.change(id, |record| {
            record.greet(hello, dialled, now);
            if let Some(sharing) = sharing {
                record.node = Some(sharing.node.clone());
                lock(&sharing.pending).came.insert(id);
            }
        });
    }

    /// An agent that was greeted can be reached here now: others must hear of it, whatever
    /// they say until then.
    pub(crate) fn came(&self, id: AgentId) {
        let Some(sharing) = self.sharing.get() else {
            return;
        };
        self.write(|agents| {
            if let Some(record) = agents.by_id.get_mut(&id) {
                record.node = Some(sharing.node.clone());
            }
            lock(&sharing.pending).came.insert(id);
        });
        lock(&self.changed).insert(id);
        self.wake.notify_one();
    }

    /// A connection of an agent ended; it may have another one here.
    pub(crate) fn left(&self, id: AgentId) {
        let Some(sharing) = self.sharing.get() else {
            return;
        };
        // None can come while it is asked.
        sharing.links.with_connected(|connected| {
            if !connected(id) {
                // Where it went since counts more.
                lock(&sharing.pending).came.remove(&id);
            }
        });
        lock(&self.changed).insert(id);
        self.wake.notify_one();
    }

    /// The nodes that live, where several keep their agents together.
    pub(crate) fn living(&self) -> Option<Arc<BTreeSet<String>>> {
        self.sharing.get()?;
        Some(self.read(|agents| Arc::clone(&agents.living)))
    }

    /// Whether the newest that is known of an agent is that it came here.
    pub(crate) fn is_here(&self, id: AgentId) -> bool {
        let own = self.sharing.get().map(|sharing| &sharing.node);
        self.read(|agents| {
            let record = agents.by_id.get(&id);
            record.is_some_and(|record| record.node.as_ref() == own)
        })
    }
}
