//! What is known of each agent's upgrade. Pure: answers of the manager go in,
//! states come out.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{AgentId, TaskId};
use wpk_wire::own::{Delivery, Forecast, TaskNow, TaskPhase};
use wpk_wire::{Code, Item, TaskCode};

use super::entry::Entry;
use crate::manager::state::State;
use crate::manager::timelines::Told;
use crate::output::clean;

/// All agents of one call, in the order they were given.
#[derive(Debug)]
pub(crate) struct Board {
    entries: Vec<Entry>,
    index: HashMap<AgentId, usize>,
    started: Instant,
    /// Its tasks were there before.
    attached: bool,
}

impl Board {
    /// `agents` holds no doubles.
    pub(crate) fn new(agents: &[AgentId]) -> Self {
        Self {
            entries: agents.iter().copied().map(Entry::new).collect(),
            index: agents.iter().copied().zip(0..).collect(),
            started: Instant::now(),
            attached: false,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// For tests that need other times than now.
    #[cfg(test)]
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Since when its tasks are under way.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Their ids.
    pub(crate) fn agents(&self) -> Vec<AgentId> {
        self.entries.iter().map(|entry| entry.agent).collect()
    }

    /// Those of whose upgrade more may be heard.
    pub(crate) fn live(&self) -> Vec<AgentId> {
        self.ids(Entry::live)
    }

    /// Those whose task is under way.
    pub(crate) fn running(&self) -> Vec<AgentId> {
        self.ids(|entry| entry.live() && entry.state != State::Confirming)
    }

    /// Those about whose end the manager's timeline may say something; without
    /// those that it had nothing new about the last time, unless `again`.
    pub(crate) fn unexplained(&self, again: bool) -> Vec<AgentId> {
        self.ids(|entry| entry.unexplained() && (again || entry.state != State::Confirming))
    }

    /// What the timelines say of those that were asked about; `None` from a
    /// manager that has none.
    pub(crate) fn explain(&mut self, asked: &[AgentId], told: Option<&HashMap<AgentId, Told>>) {
        for agent in asked {
            if let Some(entry) = self.get(*agent) {
                let told = told.and_then(|told| told.get(agent));
                entry.explain(told.and_then(|told| told.timeline.as_ref()));
            }
        }
    }

    /// Those that got a task.
    pub(crate) fn with_task(&self) -> Vec<AgentId> {
        self.ids(|entry| entry.task.is_some())
    }

    /// Up to `most` of those being updated.
    pub(crate) fn updating(&self, most: usize) -> Vec<AgentId> {
        let mut ids = self.ids(|entry| entry.live() && entry.state == State::Updating);
        ids.truncate(most);
        ids
    }

    fn ids(&self, which: impl Fn(&Entry) -> bool) -> Vec<AgentId> {
        let chosen = self.entries.iter().filter(|entry| which(entry));
        chosen.map(|entry| entry.agent).collect()
    }

    fn get(&mut self, agent: AgentId) -> Option<&mut Entry> {
        let index = *self.index.get(&agent)?;
        self.entries.get_mut(index)
    }

    /// Their names.
    pub(crate) fn are_called(&mut self, mut names: HashMap<AgentId, String>) {
        for entry in &mut self.entries {
            entry.name = names.remove(&entry.agent);
        }
    }

    /// The versions before: of a task that was there already only where its installer was
    /// not begun.
    pub(crate) fn came_from(&mut self, mut versions: HashMap<AgentId, String>) {
        for entry in &mut self.entries {
            let before = match entry.state {
                State::Queued => true,
                State::Updating => entry.phase.is_some_and(|at| at != TaskPhase::Installing),
                _ => !self.attached,
            };
            entry.from = versions.remove(&entry.agent).filter(|_| before);
        }
        if !self.attached {
            self.started = Instant::now();
        }
    }

    /// The newest tasks of the agents, which are watched from now on.
    pub(crate) fn attach(&mut self, items: &[Item]) {
        self.attached = true;
        for item in items.iter().filter(|item| item.error.is_success()) {
            self.answered(item.clone());
            match TaskNow::from_item(item) {
                Some(now) => self.now(item, &now),
                None => self.result(item.clone()),
            }
        }
    }

    /// Leaves out whom the caller does not want.
    pub(crate) fn keep(&mut self, which: impl Fn(&Entry) -> bool) {
        self.entries.retain(which);
        let agents = self.entries.iter().map(|entry| entry.agent);
        self.index = agents.zip(0..).collect();
    }

    /// The versions now.
    pub(crate) fn report(&mut self, mut versions: HashMap<AgentId, String>) {
        for entry in &mut self.entries {
            if let Some(version) = versions.remove(&entry.agent) {
                entry.reported = Some(version);
            }
        }
    }

    /// The manager's answer to the request, for one agent.
    pub(crate) fn answered(&mut self, item: Item) {
        let Some(agent) = item.agent_id() else { return };
        if !item.error.is_success() {
            let because = Forecast::from_item(&item).reason;
            let because = because.map_or_else(String::new, |because| format!(": {because}"));
            let reason = clean(&format!("{}{because}", item.message));
            self.refused(agent, Some(item.error), reason);
        } else if let (Some(task), Some(entry)) = (item.task_id, self.get(agent)) {
            entry.task = Some(task);
            entry.state = State::Queued;
            entry.reason = None;
        }
    }

    /// This agent got no task.
    pub(crate) fn refused(&mut self, agent: AgentId, code: Option<Code>, reason: String) {
        if let Some(entry) = self.get(agent) {
            entry.state = State::Refused;
            entry.code = code;
            entry.reason = Some(reason);
        }
    }

    /// An item of `upgrade_changes`: a task as it is now, or how far its delivery is.
    pub(crate) fn now(&mut self, item: &Item, now: &TaskNow) {
        if item.status.is_some() {
            self.result(item.clone());
        }
        let took = now
            .seconds
            .map(Duration::from_secs)
            .filter(|_| self.attached);
        let begun = took.and_then(|took| Instant::now().checked_sub(took));
        let Some(entry) = self.get(now.told.agent) else {
            return;
        };
        if entry.task != Some(now.told.task_id) {
            return;
        }
        if item.status.is_some() && entry.unexplained() {
            entry.explain(Some(&now.told));
        }
        entry.place(now);
        if entry.state.ended() || entry.state == State::Confirming {
            entry.took = took.or(entry.took);
        } else if let Some(begun) = begun {
            entry.since = entry.since.map(|since| since.min(begun));
            self.started = self.started.min(begun);
        }
    }

    /// Tasks that the manager deleted.
    pub(crate) fn gone(&mut self, tasks: &HashSet<TaskId>) {
        let is_gone = |entry: &Entry| entry.task.is_some_and(|task| tasks.contains(&task));
        let gone = self
            .entries
            .iter()
            .filter(|entry| !tasks.is_empty() && is_gone(entry));
        let gone: Vec<AgentId> = gone.map(|entry| entry.agent).collect();
        for agent in gone {
            self.result(Item::task(TaskCode::NoTask, agent));
        }
    }

    /// Of the agents that are updated only these are written to, or wait for it.
    pub(crate) fn delivered_to(&mut self, told: &HashSet<AgentId>) {
        for entry in &mut self.entries {
            if entry.live() && !told.contains(&entry.agent) {
                entry.left();
            }
        }
    }

    /// Whether some are written to, or may be.
    pub(crate) fn is_delivered_to(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| {
            let installs = entry.phase == Some(TaskPhase::Installing);
            entry.live() && entry.state == State::Updating && !installs
        })
    }

    /// An item of `upgrade_result`.
    pub(crate) fn result(&mut self, item: Item) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.started);
        let Some(entry) = item.agent_id().and_then(|agent| self.get(agent)) else {
            return;
        };
        if !entry.live() || entry.state == State::Confirming {
            return;
        }
        if item.error == TaskCode::NoTask {
            entry.state = State::Unknown;
            entry.reason = Some("the manager no longer knows the task".to_owned());
        } else if !item.error.is_success() {
            // Of this round only: the next may succeed.
            return;
        } else if item.task_id > entry.task {
            entry.state = State::Unknown;
            entry.reason = item
                .task_id
                .map(|task| format!("task {task} followed before the end of this one was seen"));
        } else if item.task_id == entry.task {
            // A text that is none of the known ones changes nothing.
            let shown = item.status.as_deref().and_then(State::from_shown);
            entry.state = shown.unwrap_or(entry.state);
            entry.reason = item.error_msg.as_deref().map(clean);
        }
        if entry.state == State::Updating {
            entry.since.get_or_insert(now);
        }
        if entry.state.ended() {
            (entry.delivery, entry.phase, entry.waits_for) = (None, None, None);
            (entry.took, entry.ended) = (Some(took), Some(now));
        }
    }

    /// The deliveries that are under way to those among `asked`.
    pub(crate) fn deliveries(&mut self, asked: &[AgentId], running: &[Delivery]) {
        let running: HashMap<AgentId, &Delivery> = running
            .iter()
            .map(|delivery| (delivery.agent, delivery))
            .collect();
        for agent in asked {
            let found = running.get(agent);
            let Some(entry) = self.get(*agent).filter(|entry| entry.live()) else {
                continue;
            };
            match found {
                Some(delivery) if Some(delivery.task_id) == entry.task => {
                    entry.delivery = Some(**delivery);
                }
                _ => entry.delivered |= entry.delivery.take().is_some(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
