//! The calls of [`wpk_plugin::api::TaskStore`] on the tasks in memory: the rules of
//! PROTOCOL.md, section 3.

use std::collections::BTreeSet;

use wpk_plugin::api::{
    AgentId, Awaiting, Cancel, Claimed, Confirmation, Created, LONGEST_TIMELINE, Mover, NewTask,
    Overdue, Selector, Status, Task, TaskId, TimelineEntry, TimelineStep, Transition,
    TransitionResult, UnixTime, Version,
};

use crate::changes::Entry;
use crate::tasks::Tasks;

impl Tasks {
    pub(crate) fn create(&mut self, new: NewTask) -> Result<Created, serde_json::Error> {
        if new.fence.is_some() {
            // It keeps no documents, for which tasks could be made.
            return Ok(Created::Fenced);
        }
        let order = new.order.as_ref().map(serde_json::to_value).transpose()?;
        if new.exclusive {
            let mut live = None;
            for id in self.ids_of(new.agent) {
                let Some(entry) = self.entries.get(&id) else {
                    continue;
                };
                let task = &entry.task;
                if gives_way(entry) && task.node != new.node {
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
        let task = new.task(id);
        let entry = Entry {
            timeline: vec![TimelineEntry::new(new.created, TimelineStep::Created)],
            task,
            order,
            begun: false,
            begun_in: None,
            target: None,
            claimed: false,
            held: new.held,
            crashes: 0,
        };
        self.set(id, Some(entry));
        Ok(Created::Task(id))
    }

    pub(crate) fn transition(&mut self, one: &Transition) -> TransitionResult {
        let id = match one.select {
            Selector::Task(id) => Some(id),
            Selector::LatestOf(agent) => self.newest(agent).map(|task| task.id),
            Selector::SpokenOf(agent) => self.spoken_of(agent),
            Selector::TaskOf { task, agent } => {
                let entry = self.entries.get(&task);
                entry
                    .filter(|entry| entry.task.agent == agent)
                    .map(|_| task)
            }
        };
        let Some(entry) = id.and_then(|id| self.entries.get(&id)) else {
            return TransitionResult::Refused(None);
        };
        let task = &entry.task;
        if !one.is_open(task, entry.standing(), self.entered.as_deref()) {
            return TransitionResult::Refused(Some(task.clone()));
        }
        let mut entry = entry.clone();
        let late = entry.task.status == Status::Timeout;
        entry.task.status = one.to.clone();
        entry.task.updated = Some(one.at);
        if one.error_msg.is_some() {
            entry.task.error_msg.clone_from(&one.error_msg);
        } else if one.to == Status::Done {
            entry.task.error_msg = None;
        }
        if entry.standing().ours {
            entry.task.confirmation = Confirmation::at_end(&one.to, entry.target);
        }
        let noted = one.entry.clone().map(|noted| noted.of_late(late));
        entry.timeline.extend(noted);
        let moved = entry.task.clone();
        self.set(moved.id, Some(entry));
        TransitionResult::Moved(moved)
    }

    /// The task that a word of an agent is about which names none.
    fn spoken_of(&self, agent: AgentId) -> Option<TaskId> {
        let ids = self.of_agent.get(&agent)?;
        let meant = |id: &&TaskId| {
            let standing = self.entries.get(id).map(Entry::standing);
            standing.is_some_and(|standing| standing.begun || !standing.ours)
        };
        ids.iter().rev().find(meant).copied()
    }

    pub(crate) fn claim(&mut self, node: &str, limit: usize, now: UnixTime) -> Vec<Claimed> {
        let entered = self.entered.clone();
        let waiting = |entry: &Entry| {
            entry.task.node == node && waits(entry) && is_carried_out(entry, entered.as_deref())
        };
        let taken = self.edit(limit, waiting, |entry| {
            entry.claimed = true;
            entry.task.status = Status::InProgress;
            entry.task.updated = Some(now);
        });
        taken.iter().filter_map(Entry::claimed).collect()
    }

    pub(crate) fn interrupted(&mut self, node: &str, crashed: bool) -> Vec<Claimed> {
        let interrupted = |entry: &&Entry| {
            let task = &entry.task;
            let under_way = entry.claimed && !entry.begun && task.status == Status::InProgress;
            under_way && task.node == node && is_carried_out(entry, self.entered.as_deref())
        };
        let mut found: Vec<Entry> = self.entries.values().filter(interrupted).cloned().collect();
        if crashed {
            for entry in &mut found {
                entry.crashes += 1;
                self.swap(entry.task.id, Some(entry.clone()));
            }
        }
        found.iter().filter_map(Entry::claimed).collect()
    }

    pub(crate) fn begin_installer(
        &mut self,
        id: TaskId,
        target: Option<Version>,
        now: UnixTime,
    ) -> bool {
        let (entered, incarnation) = (self.entered.clone(), self.incarnation);
        let may = |entry: &Entry| {
            let ready = entry.task.status == Status::InProgress && !entry.begun;
            ready && is_carried_out(entry, entered.as_deref())
        };
        let begun = self.edit_one(id, may, |entry| {
            entry.begun = true;
            entry.begun_in = Some(incarnation);
            entry.target = target;
            entry.task.updated = Some(now);
            let upgrade = TimelineEntry::new(now, TimelineStep::Upgrade);
            entry.timeline.push(upgrade);
        });
        begun.is_some()
    }

    pub(crate) fn touch(&mut self, ids: &[TaskId], now: UnixTime) {
        let entered = self.entered.clone();
        let in_progress = |entry: &Entry| {
            entry.task.status == Status::InProgress && is_carried_out(entry, entered.as_deref())
        };
        for id in ids {
            self.edit_one(*id, in_progress, |entry| entry.task.updated = Some(now));
        }
    }

    pub(crate) fn cancel(&mut self, node: &str, which: Cancel, now: UnixTime) -> u64 {
        let entered = self.entered.clone();
        let meant = |entry: &Entry| {
            let (task, standing) = (&entry.task, entry.standing());
            let cancelled = Status::Cancelled;
            let waits = task.status == Status::Pending;
            task.node == node
                && is_carried_out(entry, entered.as_deref())
                && (task.status).may_become(&cancelled, standing, Mover::Delivery)
                && match which {
                    Cancel::WithoutOrder | Cancel::Abandoned => {
                        waits && !standing.ours && !entry.held
                    }
                    Cancel::Pending => waits,
                    Cancel::NotBegun => true,
                }
        };
        let cancelled = self.edit(usize::MAX, meant, |entry| {
            entry.task.status = Status::Cancelled;
            entry.task.updated = Some(now);
            let cancelled = TimelineEntry::new(now, TimelineStep::Cancelled);
            entry.timeline.push(cancelled);
        });
        cancelled.len() as u64
    }

    pub(crate) fn withdraw(&mut self, ids: &[TaskId]) -> u64 {
        let mut gone = 0;
        // In the caller's order, which is the order in which the feed tells it.
        for id in ids {
            if self.entries.get(id).is_some_and(gives_way) {
                gone += self.remove(&[*id]);
            }
        }
        gone
    }

    pub(crate) fn in_progress(&self, after: TaskId, limit: usize) -> Vec<Task> {
        let after = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let tasks = self.entries.range(after).map(|(_, entry)| &entry.task);
        let running = tasks.filter(|task| task.status == Status::InProgress);
        running.take(limit).cloned().collect()
    }

    pub(crate) fn expire(&mut self, overdue: &[Overdue], now: UnixTime) -> Vec<Task> {
        let mut expired = Vec::new();
        for one in overdue {
            let silent = |entry: &Entry| {
                let task = &entry.task;
                task.status == Status::InProgress && task.updated == one.updated && !waits(entry)
            };
            let entry = self.edit_one(one.task, silent, |entry| {
                entry.task.status = Status::Timeout;
                entry.task.updated = Some(now);
                let timeout = TimelineEntry::new(now, TimelineStep::Timeout);
                entry.timeline.push(timeout);
            });
            expired.extend(entry.map(|entry| entry.task));
        }
        expired
    }

    pub(crate) fn purge(&mut self, created_until: UnixTime) -> u64 {
        // Oldest first: a task stays while an older one of its agent takes words.
        let (mut ids, mut words) = (Vec::new(), BTreeSet::new());
        for task in self.entries.values().map(|entry| &entry.task) {
            let old = task.created <= created_until && !task.status.is_live();
            if old && !words.contains(&task.agent) {
                ids.push(task.id);
            } else if matches!(task.status, Status::InProgress | Status::Timeout) {
                words.insert(task.agent);
            }
        }
        self.remove(&ids)
    }

    pub(crate) fn note(&mut self, entries: Vec<(TaskId, TimelineEntry)>) {
        for (id, noted) in entries {
            if let Some(mut entry) = self.entries.get(&id).cloned() {
                entry.timeline.push(noted);
                let over = entry.timeline.len().saturating_sub(LONGEST_TIMELINE);
                entry.timeline.drain(..over);
                self.swap(id, Some(entry));
            }
        }
    }

    pub(crate) fn timeline(&self, id: TaskId) -> Vec<TimelineEntry> {
        let entry = self.entries.get(&id);
        entry
            .map(|entry| entry.timeline.clone())
            .unwrap_or_default()
    }

    pub(crate) fn awaiting(&self, node: &str, after: TaskId, limit: usize) -> Vec<Awaiting> {
        let after = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let entries = self.entries.range(after).map(|(_, entry)| entry);
        let awaited = entries.filter(|entry| entry.task.node == node && entry.is_awaited());
        let awaited = awaited.filter_map(|entry| {
            Some(Awaiting {
                target: entry.target?,
                next: self.begun_after(&entry.task),
                task: entry.task.clone(),
            })
        });
        awaited.take(limit).collect()
    }

    /// The first later task of the same agent whose installer was begun.
    fn begun_after(&self, task: &Task) -> Option<TaskId> {
        let begun = |id: &&TaskId| self.entries.get(id).is_some_and(|entry| entry.begun);
        let mut ids = self.of_agent.get(&task.agent)?.iter();
        ids.find(|id| **id > task.id && begun(id)).copied()
    }

    pub(crate) fn confirm(&mut self, id: TaskId, what: Confirmation, noted: TimelineEntry) -> bool {
        let confirmed = self.edit_one(id, Entry::is_awaited, |entry| {
            entry.task.confirmation = Some(what);
            entry.timeline.push(noted);
        });
        confirmed.is_some()
    }
}

/// Whether a task is carried out by the daemon that entered under this name.
fn is_carried_out(entry: &Entry, entered: Option<&str>) -> bool {
    let standing = entry.standing();
    standing.is_carried_out_by(&entry.task.node, entered)
}

/// Whether a task waits, and nobody holds an order of it.
fn gives_way(entry: &Entry) -> bool {
    entry.task.status == Status::Pending && !entry.standing().ours && !entry.held
}

/// Whether a task waits to be taken.
fn waits(entry: &Entry) -> bool {
    let free = !entry.claimed && !entry.begun;
    free && entry.order.is_some() && entry.task.status.is_live()
}
