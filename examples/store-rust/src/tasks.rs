//! All tasks in memory and the rules for them (protocol.md, section 3). No I/O.
//!
//! Every change goes through [`Tasks::edit`] or [`Tasks::remove`], which
//! remember what was there before. Then the store either takes the changes to
//! the journal and calls [`Tasks::keep`], or [`Tasks::undo`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wpk_plugin::api::{
    AgentId, Claimed, Created, NewTask, Selector, Status, Task, TaskId, Transition,
    TransitionResult, UnixTime,
};

use crate::changes::{Changes, Entry};

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    entries: BTreeMap<TaskId, Entry>,
    of_agent: HashMap<AgentId, BTreeSet<TaskId>>,
    last: i64,
    /// What was there before the call that is under way, and the `last` of then.
    before: BTreeMap<TaskId, Option<Entry>>,
    last_before: i64,
}

impl Tasks {
    /// Applies a line of the journal.
    pub(crate) fn apply(&mut self, changes: Changes) {
        self.last = self.last.max(changes.last);
        for entry in changes.put {
            self.last = self.last.max(entry.task.id.0);
            self.set(entry.task.id, Some(entry));
        }
        for id in changes.gone {
            self.set(id, None);
        }
        self.keep();
    }

    /// Everything, as one line.
    pub(crate) fn all(&self) -> Changes {
        Changes::of(self.last, self.entries.keys().copied(), &self.entries)
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the call under way changed; `None`: nothing.
    pub(crate) fn changes(&self) -> Option<Changes> {
        let touched = || self.before.keys().copied();
        (!self.before.is_empty()).then(|| Changes::of(self.last, touched(), &self.entries))
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
    }

    /// The call did not happen.
    pub(crate) fn undo(&mut self) {
        for (id, entry) in std::mem::take(&mut self.before) {
            self.set(id, entry);
        }
        self.last = self.last_before;
        self.keep();
    }

    /// The newest task of an agent.
    pub(crate) fn newest(&self, agent: AgentId) -> Option<&Task> {
        let id = self.of_agent.get(&agent)?.last()?;
        self.entries.get(id).map(|entry| &entry.task)
    }

    fn ids_of(&self, agent: AgentId) -> Vec<TaskId> {
        let ids = self.of_agent.get(&agent).into_iter().flatten();
        ids.copied().collect()
    }

    /// All agents that have tasks.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentId> {
        self.of_agent.keys().copied()
    }

    pub(crate) fn create(&mut self, new: NewTask) -> Result<Created, serde_json::Error> {
        let order = new.order.as_ref().map(serde_json::to_value).transpose()?;
        if new.exclusive {
            let mut live = None;
            for id in self.ids_of(new.agent) {
                let Some(entry) = self.entries.get(&id) else {
                    continue;
                };
                let task = &entry.task;
                if task.status == Status::Pending && task.node != new.node {
                    self.set(id, None);
                } else if task.status.is_live() {
                    live = Some(id);
                }
            }
            if let Some(live) = live {
                return Ok(Created::AlreadyLive(live));
            }
        }
        self.last += 1;
        let id = TaskId(self.last);
        let task = Task {
            id,
            agent: new.agent,
            node: new.node,
            module: new.module,
            command: new.command,
            created: new.created,
            updated: None,
            status: Status::Pending,
            error_msg: None,
        };
        let begun = false;
        self.set(id, Some(Entry { task, order, begun }));
        Ok(Created::Task(id))
    }

    pub(crate) fn transition(&mut self, one: &Transition) -> TransitionResult {
        let id = match one.select {
            Selector::Task(id) => Some(id),
            Selector::LatestOf(agent) => self.newest(agent).map(|task| task.id),
        };
        let Some(entry) = id.and_then(|id| self.entries.get(&id)) else {
            return TransitionResult::Refused(None);
        };
        let task = &entry.task;
        let other_node = one.to.needs_same_node() && task.node != one.node;
        if !task.status.may_become(&one.to) || other_node {
            return TransitionResult::Refused(Some(task.clone()));
        }
        let mut entry = entry.clone();
        entry.task.status = one.to.clone();
        entry.task.updated = Some(one.at);
        if one.error_msg.is_some() {
            entry.task.error_msg.clone_from(&one.error_msg);
        }
        let moved = entry.task.clone();
        self.set(moved.id, Some(entry));
        TransitionResult::Moved(moved)
    }

    pub(crate) fn claim(&mut self, node: &str, limit: usize, now: UnixTime) -> Vec<Claimed> {
        let waiting = |entry: &Entry| {
            let task = &entry.task;
            entry.order.is_some() && task.status == Status::Pending && task.node == node
        };
        let taken = self.edit(limit, waiting, |entry| {
            entry.task.status = Status::InProgress;
            entry.task.updated = Some(now);
        });
        taken.iter().filter_map(Entry::claimed).collect()
    }

    pub(crate) fn interrupted(&self, node: &str) -> Vec<Claimed> {
        let interrupted = self.entries.values().filter(|entry| {
            let task = &entry.task;
            !entry.begun && task.status == Status::InProgress && task.node == node
        });
        interrupted.filter_map(Entry::claimed).collect()
    }

    pub(crate) fn begin_installer(&mut self, id: TaskId) -> bool {
        let may = |entry: &&Entry| entry.task.status == Status::InProgress && !entry.begun;
        let Some(entry) = self.entries.get(&id).filter(may) else {
            return false;
        };
        let mut entry = entry.clone();
        entry.begun = true;
        self.set(id, Some(entry));
        true
    }

    pub(crate) fn touch(&mut self, ids: &[TaskId], now: UnixTime) {
        for id in ids {
            let in_progress = |entry: &&Entry| entry.task.status == Status::InProgress;
            if let Some(mut entry) = self.entries.get(id).filter(in_progress).cloned() {
                entry.task.updated = Some(now);
                self.set(*id, Some(entry));
            }
        }
    }

    pub(crate) fn cancel(&mut self, node: &str, now: UnixTime) -> u64 {
        let waiting = |entry: &Entry| {
            let task = &entry.task;
            task.status == Status::Pending && task.node == node
        };
        let cancelled = self.edit(usize::MAX, waiting, |entry| {
            entry.task.status = Status::Cancelled;
            entry.task.updated = Some(now);
        });
        cancelled.len() as u64
    }

    pub(crate) fn withdraw(&mut self, ids: &[TaskId]) -> u64 {
        let ids: BTreeSet<_> = ids.iter().collect();
        self.remove(|task| task.status == Status::Pending && ids.contains(&task.id))
    }

    pub(crate) fn expire(&mut self, not_since: UnixTime, now: UnixTime) -> Vec<Task> {
        let silent = |entry: &Entry| {
            let task = &entry.task;
            let last_word = task.updated.unwrap_or(task.created);
            task.status == Status::InProgress && last_word <= not_since
        };
        let expired = self.edit(usize::MAX, silent, |entry| {
            entry.task.status = Status::Timeout;
            entry.task.updated = Some(now);
        });
        expired.into_iter().map(|entry| entry.task).collect()
    }

    pub(crate) fn purge(&mut self, created_until: UnixTime) -> u64 {
        self.remove(|task| task.created <= created_until)
    }

    /// Changes up to `limit` tasks, oldest first; returns them as they are now.
    fn edit(
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

    fn remove(&mut self, which: impl Fn(&Task) -> bool) -> u64 {
        let tasks = self.entries.values().map(|entry| &entry.task);
        let ids: Vec<TaskId> = tasks
            .filter(|task| which(task))
            .map(|task| task.id)
            .collect();
        for id in &ids {
            self.set(*id, None);
        }
        ids.len() as u64
    }

    /// The only place that changes `entries`.
    fn set(&mut self, id: TaskId, entry: Option<Entry>) {
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
