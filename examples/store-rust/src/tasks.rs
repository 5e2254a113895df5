//! All tasks in memory. No I/O. What becomes of them is decided in `calls`.
//!
//! Every change goes through [`Tasks::set`] (told by the feed) or [`Tasks::swap`]
//! (not told), which remember what was there before. Then the store either takes
//! the changes to the journal and calls [`Tasks::keep`], or [`Tasks::undo`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wpk_plugin::api::{AgentId, Incarnation, Task, TaskId};

use crate::changes::{Changes, Entry};
use crate::feed::Feed;

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) entries: BTreeMap<TaskId, Entry>,
    pub(crate) of_agent: HashMap<AgentId, BTreeSet<TaskId>>,
    /// The highest id that was ever given.
    pub(crate) last: i64,
    /// The newest run of a daemon, and under which name this one entered.
    pub(crate) incarnation: Incarnation,
    pub(crate) entered: Option<String>,
    incarnation_before: Incarnation,
    /// What was there before the call that is under way, and the `last` of then.
    before: BTreeMap<TaskId, Option<Entry>>,
    last_before: i64,
    /// Whether the call that is under way deleted tasks.
    purged: bool,
    pub(crate) feed: Feed,
}

impl Tasks {
    /// Applies a line of the journal.
    pub(crate) fn apply(&mut self, changes: Changes) {
        self.last = self.last.max(changes.last);
        self.incarnation = changes.incarnation.unwrap_or(self.incarnation);
        for entry in changes.put {
            self.last = self.last.max(entry.task.id.0);
            self.set(entry.task.id, Some(entry));
        }
        for id in changes.gone {
            self.set(id, None);
        }
        self.feed.undo();
        self.feed.apply(changes.feed, changes.places);
        self.keep();
    }

    /// Everything, as one line.
    pub(crate) fn all(&self) -> Changes {
        let (feed, places) = self.feed.all();
        Changes {
            feed,
            places,
            incarnation: (self.incarnation > 0).then_some(self.incarnation),
            ..Changes::of(self.last, self.entries.keys().copied(), &self.entries)
        }
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the call under way changed; `None`: nothing.
    pub(crate) fn changes(&self) -> Option<Changes> {
        let (feed, places) = self.feed.added();
        let changes = Changes {
            feed,
            places,
            incarnation: (self.incarnation > self.incarnation_before).then_some(self.incarnation),
            ..Changes::of(self.last, self.before.keys().copied(), &self.entries)
        };
        (!changes.is_empty()).then_some(changes)
    }

    /// The agents whose tasks the call under way changed.
    pub(crate) fn changed_agents(&self) -> BTreeSet<AgentId> {
        let now = self.before.keys().filter_map(|id| self.entries.get(id));
        let then = self.before.values().flatten();
        now.chain(then).map(|entry| entry.task.agent).collect()
    }

    /// The call is on disk.
    pub(crate) fn keep(&mut self) {
        self.before.clear();
        self.last_before = self.last;
        self.incarnation_before = self.incarnation;
        self.feed.keep();
        if std::mem::take(&mut self.purged) {
            self.feed.forget(|id| self.entries.contains_key(&id));
        }
    }

    /// The call did not happen.
    pub(crate) fn undo(&mut self) {
        for (id, entry) in std::mem::take(&mut self.before) {
            self.swap(id, entry);
        }
        self.last = self.last_before;
        self.incarnation = self.incarnation_before;
        self.before.clear();
        self.purged = false;
        self.feed.undo();
    }

    /// The newest task of an agent.
    pub(crate) fn newest(&self, agent: AgentId) -> Option<&Task> {
        let id = self.of_agent.get(&agent)?.last()?;
        self.entries.get(id).map(|entry| &entry.task)
    }

    pub(crate) fn ids_of(&self, agent: AgentId) -> Vec<TaskId> {
        let ids = self.of_agent.get(&agent).into_iter().flatten();
        ids.copied().collect()
    }

    /// All agents that have tasks.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentId> {
        self.of_agent.keys().copied()
    }

    /// Changes up to `limit` tasks, oldest first; returns them as they are now.
    pub(crate) fn edit(
        &mut self,
        limit: usize,
        which: impl Fn(&Entry) -> bool,
        change: impl Fn(&mut Entry),
    ) -> Vec<Entry> {
        let found = self
            .entries
            .values()
            .filter(|entry| which(entry))
            .take(limit);
        let mut found: Vec<Entry> = found.cloned().collect();
        for entry in &mut found {
            change(entry);
            self.set(entry.task.id, Some(entry.clone()));
        }
        found
    }

    /// Changes one task, if it is there and so; returns it as it is now.
    pub(crate) fn edit_one(
        &mut self,
        id: TaskId,
        which: impl Fn(&Entry) -> bool,
        change: impl FnOnce(&mut Entry),
    ) -> Option<Entry> {
        let found = self.entries.get(&id).filter(|entry| which(entry));
        let mut entry = found?.clone();
        change(&mut entry);
        self.set(id, Some(entry.clone()));
        Some(entry)
    }

    /// Deletes these tasks, which are there.
    pub(crate) fn remove(&mut self, ids: &[TaskId]) -> u64 {
        for id in ids {
            self.set(*id, None);
        }
        self.purged |= !ids.is_empty();
        ids.len() as u64
    }

    /// Changes a task, and tells of it.
    pub(crate) fn set(&mut self, id: TaskId, entry: Option<Entry>) {
        match &entry {
            Some(entry) => self.feed.task(&entry.task),
            None => self.feed.deleted(id),
        }
        self.swap(id, entry);
    }

    /// The only place that changes `entries`.
    pub(crate) fn swap(&mut self, id: TaskId, entry: Option<Entry>) {
        if let Some(entry) = &entry {
            self.of_agent
                .entry(entry.task.agent)
                .or_default()
                .insert(id);
        }
        let before = match entry {
            Some(entry) => self.entries.insert(id, entry),
            None => {
                let gone = self.entries.remove(&id);
                let agent = gone.as_ref().map(|entry| entry.task.agent);
                self.forget(agent, id);
                gone
            }
        };
        self.before.entry(id).or_insert(before);
    }

    fn forget(&mut self, agent: Option<AgentId>, id: TaskId) {
        let Some(agent) = agent else { return };
        if let Some(ids) = self.of_agent.get_mut(&agent) {
            ids.remove(&id);
            if ids.is_empty() {
                self.of_agent.remove(&agent);
            }
        }
    }
}
