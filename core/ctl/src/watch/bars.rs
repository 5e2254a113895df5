//! Bars on a terminal: one for all agents, and below it one for each agent
//! that is being updated, as many as fit. What has ended scrolls up as a line.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wpk_api::AgentId;

use super::board::Board;
use super::entry::{Entry, percent};
use crate::manager::state::State;

/// Agents with a bar of their own: with the total, a screen of 24 lines.
const ROWS: usize = 16;
/// With more agents than this only failures scroll up.
const FEW: usize = 100;
const TICK: Duration = Duration::from_millis(250);

/// The bars.
#[derive(Debug)]
pub(crate) struct Bars {
    multi: MultiProgress,
    total: ProgressBar,
    rows: HashMap<AgentId, ProgressBar>,
    told: HashSet<AgentId>,
}

impl Bars {
    pub(crate) fn new(board: &Board) -> Self {
        let multi = MultiProgress::new();
        let watched = board.with_task().len() as u64;
        let total = multi.add(ProgressBar::new(watched));
        total.set_style(style(
            "{prefix} [{bar:30}] {pos}/{len} {elapsed_precise} {msg}",
        ));
        total.set_prefix("all agents");
        total.enable_steady_tick(TICK);
        Self {
            multi,
            total,
            rows: HashMap::new(),
            told: HashSet::new(),
        }
    }

    pub(crate) fn show(&mut self, board: &Board) {
        let tasks = || board.entries().iter().filter(|entry| entry.task.is_some());
        let few = tasks().count() <= FEW;
        for entry in tasks().filter(|entry| entry.state.ended()) {
            if self.told.insert(entry.agent) && (few || !entry.state.well()) {
                self.note(&format!("agent {}: {}", entry.agent, entry.describe(1)));
            }
        }
        let count = |which: fn(&State) -> bool| tasks().filter(|e| which(&e.state)).count();
        let (well, ended) = (count(|s| s.well()), count(|s| s.ended()));
        let waiting = count(|s| *s == State::Queued);
        self.total.set_position(ended as u64);
        let open = count(|s| s.ended() && s.open());
        let unknown = match open {
            0 => String::new(),
            open => format!("{open} unknown, "),
        };
        self.total.set_message(format!(
            "{well} updated, {unknown}{} failed, {waiting} in queue",
            ended - well - open
        ));

        let chosen = choose(board.entries(), &self.rows);
        let multi = &self.multi;
        self.rows.retain(|agent, bar| {
            let stays = chosen.iter().any(|entry| entry.agent == *agent);
            if !stays {
                bar.finish_and_clear();
                multi.remove(bar);
            }
            stays
        });
        for entry in chosen {
            let bar = self.rows.entry(entry.agent).or_insert_with(|| {
                let bar = multi.add(ProgressBar::new(100));
                bar.set_style(style("{prefix} [{bar:30}] {msg}"));
                bar.set_prefix(format!("agent {}", entry.agent));
                bar
            });
            let percent = entry.delivery.as_ref().and_then(percent);
            bar.set_position(percent.unwrap_or(if entry.delivered { 100 } else { 0 }));
            bar.set_message(entry.describe(1));
        }
    }

    pub(crate) fn note(&self, text: &str) {
        // A terminal that is gone cannot be told.
        let _ = self.multi.println(text);
    }

    /// Takes all bars off the terminal.
    pub(crate) fn finish(&mut self) {
        for (_, bar) in self.rows.drain() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}

impl Drop for Bars {
    /// Also where Ctrl-C ends the watching.
    fn drop(&mut self) {
        self.finish();
    }
}

/// The agents that get a bar: those that have one keep it, then those that are
/// being written to, then others being updated.
fn choose<'a>(entries: &'a [Entry], rows: &HashMap<AgentId, ProgressBar>) -> Vec<&'a Entry> {
    let mut updating: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.task.is_some() && entry.state == State::Updating)
        .collect();
    updating.sort_by_key(|entry| (!rows.contains_key(&entry.agent), entry.delivery.is_none()));
    updating.truncate(ROWS);
    updating
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wpk_api::TaskId;
    use wpk_wire::own::Delivery;
    use wpk_wire::{Item, Step};

    fn id(agent: i64) -> AgentId {
        AgentId::new(agent).unwrap()
    }

    #[test]
    fn a_screenful_is_chosen_and_bars_keep_their_place() {
        let agents: Vec<AgentId> = (1..=40).map(id).collect();
        let mut board = Board::new(&agents);
        for agent in &agents {
            let created = || Item::created(*agent, TaskId(i64::from(*agent)));
            board.answered(created());
            board.result(Item {
                status: Some("Updating".into()),
                ..created()
            });
        }
        let written = Delivery {
            agent: id(30),
            task_id: TaskId(30),
            step: Step::Write.into(),
            sent: 0,
            total: 0,
            at_once: 0,
        };
        board.deliveries(&agents, &[written]);
        let rows = HashMap::from([(id(40), ProgressBar::hidden())]);
        let chosen: Vec<AgentId> = choose(board.entries(), &rows)
            .iter()
            .map(|e| e.agent)
            .collect();
        assert_eq!(chosen.len(), ROWS);
        assert_eq!(chosen[..3], [id(40), id(30), id(1)]);
    }
}
