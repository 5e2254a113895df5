//! What is known of each agent's upgrade. Pure: answers of the manager go in,
//! states come out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wpk_wire::Item;
use wpk_wire::codes::TaskCode;

use crate::online::state::State;
use crate::output::clean;

/// Where a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// `download`, or a step of protocol.md, section 5.
    pub(crate) step: String,
    /// Bytes that the agent has.
    pub(crate) sent: u64,
    /// Bytes of the WPK; 0 until known.
    pub(crate) total: u64,
}

impl Delivery {
    /// How much of the file the agent has, 0 to 100; `None` until its size is known.
    pub(crate) fn percent(&self) -> Option<u64> {
        let sent = u128::from(self.sent.min(self.total)) * 100;
        sent.checked_div(u128::from(self.total))
            .and_then(|percent| u64::try_from(percent).ok())
    }
}

/// One agent.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) agent: i64,
    pub(crate) task: Option<i64>,
    pub(crate) state: State,
    /// Code of a refusal.
    pub(crate) code: Option<u8>,
    /// Why it is refused or failed.
    pub(crate) reason: Option<String>,
    /// The version before.
    pub(crate) from: Option<String>,
    /// The version that the agent reported at the end.
    pub(crate) reported: Option<String>,
    /// The running delivery.
    pub(crate) delivery: Option<Delivery>,
    /// A delivery was seen and is over.
    pub(crate) delivered: bool,
    /// From the request to the end.
    pub(crate) took: Option<Duration>,
}

impl Entry {
    fn new(agent: i64) -> Self {
        Self {
            agent,
            task: None,
            // What holds until the manager says otherwise.
            state: State::Refused,
            code: None,
            reason: Some("the manager did not answer for this agent".to_owned()),
            from: None,
            reported: None,
            delivery: None,
            delivered: false,
            took: None,
        }
    }

    /// The state in words; percentages rounded down to multiples of `grain`.
    pub(crate) fn describe(&self, grain: u64) -> String {
        let word = self.state.word();
        match (&self.delivery, &self.reason) {
            (Some(delivery), _) if self.state == State::Updating => {
                let step = &delivery.step;
                match delivery.percent().filter(|_| step == "write") {
                    Some(percent) => {
                        let percent = percent.checked_div(grain).unwrap_or(0) * grain;
                        format!("{word} ({step} {percent}%)")
                    }
                    None => format!("{word} ({step})"),
                }
            }
            (None, _) if self.state == State::Updating && self.delivered => {
                format!("{word} (waiting for the agent's report)")
            }
            (_, Some(_)) => format!("{word}: {}", self.why().unwrap_or_default()),
            _ => word.to_owned(),
        }
    }

    /// The reason, with the code of a refusal.
    pub(crate) fn why(&self) -> Option<String> {
        match (self.code, &self.reason) {
            (Some(code), Some(reason)) => Some(format!("code {code}: {reason}")),
            (None, reason) => reason.clone(),
            (Some(code), None) => Some(format!("code {code}")),
        }
    }

    fn live(&self) -> bool {
        self.task.is_some() && !self.state.ended()
    }
}

/// All agents of one call, in the order they were given.
#[derive(Debug)]
pub(crate) struct Board {
    entries: Vec<Entry>,
    index: HashMap<i64, usize>,
    started: Instant,
}

impl Board {
    /// `agents` holds no doubles.
    pub(crate) fn new(agents: &[i64]) -> Self {
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
    pub(crate) fn agents(&self) -> Vec<i64> {
        self.entries.iter().map(|entry| entry.agent).collect()
    }

    /// Those whose task is under way.
    pub(crate) fn live(&self) -> Vec<i64> {
        self.ids(Entry::live)
    }

    /// Those that got a task.
    pub(crate) fn with_task(&self) -> Vec<i64> {
        self.ids(|entry| entry.task.is_some())
    }

    /// Up to `most` of those being updated.
    pub(crate) fn updating(&self, most: usize) -> Vec<i64> {
        let mut ids = self.ids(|entry| entry.live() && entry.state == State::Updating);
        ids.truncate(most);
        ids
    }

    fn ids(&self, which: impl Fn(&Entry) -> bool) -> Vec<i64> {
        let chosen = self.entries.iter().filter(|entry| which(entry));
        chosen.map(|entry| entry.agent).collect()
    }

    fn get(&mut self, agent: i64) -> Option<&mut Entry> {
        let index = *self.index.get(&agent)?;
        self.entries.get_mut(index)
    }

    /// The versions before.
    pub(crate) fn came_from(&mut self, mut versions: HashMap<i64, String>) {
        for entry in &mut self.entries {
            entry.from = versions.remove(&entry.agent);
        }
        self.started = Instant::now();
    }

    /// The versions now.
    pub(crate) fn report(&mut self, mut versions: HashMap<i64, String>) {
        for entry in &mut self.entries {
            if let Some(version) = versions.remove(&entry.agent) {
                entry.reported = Some(version);
            }
        }
    }

    /// The manager's answer to the request, for one agent.
    pub(crate) fn answered(&mut self, item: Item) {
        let Some(agent) = item.agent else { return };
        match (item.error, item.task_id) {
            (0, Some(task)) => {
                if let Some(entry) = self.get(agent) {
                    entry.task = Some(task);
                    entry.state = State::Queued;
                    entry.reason = None;
                }
            }
            (0, None) => {}
            (code, _) => self.refused(agent, Some(code), clean(&item.message)),
        }
    }

    /// This agent got no task.
    pub(crate) fn refused(&mut self, agent: i64, code: Option<u8>, reason: String) {
        if let Some(entry) = self.get(agent) {
            entry.state = State::Refused;
            entry.code = code;
            entry.reason = Some(reason);
        }
    }

    /// An item of `upgrade_result`.
    pub(crate) fn result(&mut self, item: Item) {
        let took = self.started.elapsed();
        let Some(entry) = item.agent.and_then(|agent| self.get(agent)) else {
            return;
        };
        if !entry.live() {
            return;
        }
        if item.error == TaskCode::NoTask.code() {
            entry.state = State::Unknown;
            entry.reason = Some("the manager no longer knows the task".to_owned());
        } else if item.error != 0 {
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

    /// What `upgrade_progress` answered when asked for `asked`.
    pub(crate) fn deliveries(&mut self, asked: &[i64], items: Vec<Item>) {
        let mut running: HashMap<i64, (Option<i64>, Delivery)> = items
            .into_iter()
            .filter_map(|item| {
                let number = |member| item.extra.get(member).and_then(serde_json::Value::as_u64);
                let step = clean(item.extra.get("step")?.as_str()?);
                let delivery = Delivery {
                    step,
                    sent: number("sent").unwrap_or(0),
                    total: number("total").unwrap_or(0),
                };
                Some((item.agent?, (item.task_id, delivery)))
            })
            .collect();
        for agent in asked {
            let found = running.remove(agent);
            let Some(entry) = self.get(*agent).filter(|entry| entry.live()) else {
                continue;
            };
            match found {
                Some((task, delivery)) if task.is_none() || task == entry.task => {
                    entry.delivery = Some(delivery);
                }
                _ => entry.delivered |= entry.delivery.take().is_some(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(agent: i64, task: i64, status: &'static str) -> Item {
        Item {
            status: Some(status.into()),
            ..Item::created(agent, task)
        }
    }

    fn board() -> Board {
        let mut board = Board::new(&[1, 2]);
        board.answered(Item::created(1, 10));
        board.answered(Item::created(2, 11));
        board
    }

    fn state(board: &Board, agent: i64) -> String {
        let entry = board.entries().iter().find(|entry| entry.agent == agent);
        entry.unwrap().describe(10)
    }

    #[test]
    fn an_agent_without_an_answer_is_refused() {
        let mut board = Board::new(&[1, 2]);
        board.answered(Item::created(1, 10));
        board.answered(Item::created(99, 11));
        assert_eq!(state(&board, 1), "In queue");
        assert_eq!(
            state(&board, 2),
            "Refused: the manager did not answer for this agent"
        );
        assert_eq!(board.live(), [1]);
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
        board.result(Item::task(TaskCode::Database, 2));
        assert_eq!(state(&board, 2), "In queue", "the next round may succeed");
        board.result(Item::task(TaskCode::NoTask, 2));
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
        let mut progress = Item::created(1, 10);
        progress.extra.insert("step".into(), "write".into());
        progress.extra.insert("sent".into(), 57.into());
        progress.extra.insert("total".into(), 100.into());
        board.deliveries(&[1], vec![progress]);
        assert_eq!(state(&board, 1), "Updating (write 50%)");
        assert_eq!(board.entries()[0].describe(1), "Updating (write 57%)");
        board.deliveries(&[1], vec![]);
        assert_eq!(
            state(&board, 1),
            "Updating (waiting for the agent's report)"
        );
    }

    #[test]
    fn percentages_stay_in_range() {
        let percent = |sent, total| {
            let step = "write".to_owned();
            Delivery { step, sent, total }.percent()
        };
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
        assert_eq!(percent(9, 3), Some(100));
        assert_eq!(percent(1, 3), Some(33));
    }
}
