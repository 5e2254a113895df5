//! What is known of each agent's upgrade. Pure: answers of the manager go in,
//! states come out.

use std::collections::HashMap;
use std::time::Instant;

use wpk_api::AgentId;
use wpk_wire::own::{Delivery, Forecast};
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
}

impl Board {
    /// `agents` holds no doubles.
    pub(crate) fn new(agents: &[AgentId]) -> Self {
        Self {
            entries: agents.iter().copied().map(Entry::new).collect(),
            index: agents.iter().copied().zip(0..).collect(),
            started: Instant::now(),
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
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
                entry.explain(told.and_then(|told| told.get(agent)));
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

    /// The versions before.
    pub(crate) fn came_from(&mut self, mut versions: HashMap<AgentId, String>) {
        for entry in &mut self.entries {
            entry.from = versions.remove(&entry.agent);
        }
        self.started = Instant::now();
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

    /// An item of `upgrade_result`.
    pub(crate) fn result(&mut self, item: Item) {
        let took = self.started.elapsed();
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
        if entry.state.ended() {
            entry.delivery = None;
            entry.took = Some(took);
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
mod tests {
    use super::super::entry::percent;
    use super::*;
    use wpk_api::TaskId;
    use wpk_wire::Step;

    fn id(agent: i64) -> AgentId {
        AgentId::new(agent).unwrap()
    }

    fn created(agent: i64, task: i64) -> Item {
        Item::created(id(agent), TaskId(task))
    }

    fn item(agent: i64, task: i64, status: &'static str) -> Item {
        Item {
            status: Some(status.into()),
            ..created(agent, task)
        }
    }

    fn delivery(sent: u64, total: u64) -> Delivery {
        Delivery {
            agent: id(1),
            task_id: TaskId(10),
            step: Step::Write.into(),
            sent,
            total,
            at_once: 0,
        }
    }

    fn board() -> Board {
        let mut board = Board::new(&[id(1), id(2)]);
        board.answered(created(1, 10));
        board.answered(created(2, 11));
        board
    }

    fn state(board: &Board, agent: i64) -> String {
        let entry = board
            .entries()
            .iter()
            .find(|entry| entry.agent == id(agent));
        entry.unwrap().describe(10)
    }

    #[test]
    fn an_agent_without_an_answer_is_refused() {
        let mut board = Board::new(&[id(1), id(2)]);
        board.answered(created(1, 10));
        board.answered(created(99, 11));
        assert_eq!(state(&board, 1), "In queue");
        assert_eq!(
            state(&board, 2),
            "Refused: the manager did not answer for this agent"
        );
        assert_eq!(board.live(), [id(1)]);
    }

    #[test]
    fn only_the_own_task_counts() {
        let mut board = board();
        board.result(item(1, 9, "Updated"));
        assert_eq!(state(&board, 1), "In queue", "an older task says nothing");
        board.result(item(1, 12, "Updated"));
        assert_eq!(
            state(&board, 1),
            "Unknown: task 12 followed before the end of this one was seen"
        );
        board.result(Item::task(TaskCode::Database, id(2)));
        assert_eq!(state(&board, 2), "In queue", "the next round may succeed");
        board.result(Item::task(TaskCode::NoTask, id(2)));
        assert_eq!(
            state(&board, 2),
            "Unknown: the manager no longer knows the task"
        );
        assert!(board.live().is_empty());
    }

    #[test]
    fn an_end_is_final() {
        let mut board = board();
        board.result(item(1, 10, "Updated"));
        let took = board.entries()[0].took;
        board.result(item(1, 10, "Error"));
        assert_eq!(state(&board, 1), "Updated");
        assert_eq!(board.entries()[0].took, took);
    }

    #[test]
    fn deliveries_show_their_step_and_then_that_the_agent_is_awaited() {
        let mut board = board();
        board.result(item(1, 10, "Updating"));
        let running = delivery(57, 100);
        board.deliveries(&[id(1)], &[running]);
        assert_eq!(state(&board, 1), "Updating (write 50%)");
        assert_eq!(board.entries()[0].describe(1), "Updating (write 57%)");
        board.deliveries(&[id(1)], &[]);
        assert_eq!(
            state(&board, 1),
            "Updating (waiting for the agent's report)"
        );
    }

    #[test]
    fn percentages_stay_in_range() {
        let percent = |sent, total| percent(&delivery(sent, total));
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
        assert_eq!(percent(9, 3), Some(100));
        assert_eq!(percent(1, 3), Some(33));
    }
}
