//! Looking on while the agents are upgraded: asks the manager ten times a second
//! for the result of each task (`upgrade_result`) and how far each delivery is
//! (`upgrade_progress`). Bars where the output is a terminal, else a line for
//! every change.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::error::DemoError;
use crate::fleet::{Agent, Ending, Fleet};
use crate::manager::Manager;
use crate::screen::say;

/// How often the manager is asked.
const PERIOD: Duration = Duration::from_millis(100);

/// Watches until every task has ended. The endings are in the order of the agents.
pub(crate) async fn until_ended(
    manager: &Manager,
    fleet: &Fleet,
) -> Result<Vec<Ending>, DemoError> {
    let begun = Instant::now();
    let agents = json!({"agents": fleet.ids()});
    let mut view = View::new(fleet);
    let mut endings: Vec<Option<Ending>> = vec![None; fleet.agents().len()];
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let results = manager.items("upgrade_result", &agents).await?;
        let deliveries = manager.items("upgrade_progress", &agents).await?;
        for (at, agent) in fleet.agents().iter().enumerate() {
            let Some(slot) = endings.get_mut(at).filter(|slot| slot.is_none()) else {
                continue;
            };
            let state = State::read(item_of(&results, agent), item_of(&deliveries, agent));
            view.show(at, agent, &state, begun.elapsed());
            if state.has_ended() {
                *slot = Some(state.into_ending(begun.elapsed()));
            }
        }
        if endings.iter().all(Option::is_some) {
            return Ok(endings.into_iter().flatten().collect());
        }
    }
}

fn item_of<'a>(items: &'a [Value], agent: &Agent) -> Option<&'a Value> {
    items
        .iter()
        .find(|item| item.get("agent") == Some(&Value::from(agent.id)))
}

/// What the manager says of one agent right now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    /// As `upgrade_result` shows it.
    status: String,
    /// Why it failed, else what is being done.
    detail: String,
    /// How much of the package the agent has.
    percent: u64,
}

impl State {
    fn read(result: Option<&Value>, delivery: Option<&Value>) -> Self {
        let text = |item: Option<&Value>, key: &str| {
            let text = item.and_then(|item| item.get(key)?.as_str());
            text.unwrap_or_default().to_owned()
        };
        let number = |key: &str| {
            delivery
                .and_then(|item| item.get(key)?.as_u64())
                .unwrap_or(0)
        };
        let mut state = Self {
            status: text(result, "status"),
            ..Self::default()
        };
        if result.is_some_and(|item| item.get("error") != Some(&Value::from(0))) {
            // The request was refused for this agent; the answer to it said why.
            return Self {
                status: "No task".to_owned(),
                detail: text(result, "message"),
                percent: 0,
            };
        }
        if state.status == "In queue" {
            return state;
        }
        let step = text(delivery, "step");
        (state.detail, state.percent) = match step.as_str() {
            _ if state.has_ended() => (text(result, "error_msg"), 100),
            // The manager has done its part.
            "" => ("waiting for the agent's word".to_owned(), 100),
            "download" => ("fetching the package".to_owned(), 0),
            "lock_restart" | "open" | "write" => {
                let percent = number("sent") * 100 / number("total").max(1);
                ("sending the package".to_owned(), percent)
            }
            "close" | "sha1" => ("comparing digests".to_owned(), 100),
            _ => ("starting the installer".to_owned(), 100),
        };
        state
    }

    /// Every other status is an end.
    fn has_ended(&self) -> bool {
        !matches!(self.status.as_str(), "" | "In queue" | "Updating")
    }

    fn into_ending(self, took: Duration) -> Ending {
        Ending {
            status: self.status,
            reason: self.detail,
            took,
        }
    }

    /// One line.
    fn text(&self) -> String {
        match self.detail.as_str() {
            "" => self.status.clone(),
            detail => format!("{}: {detail}", self.status),
        }
    }
}

/// Where changes are shown.
enum View {
    /// A bar per agent.
    Bars(Vec<ProgressBar>),
    /// The text shown last for each agent.
    Lines(Vec<String>),
}

impl View {
    fn new(fleet: &Fleet) -> Self {
        // It draws on standard error, and only if that is a terminal.
        let screen = MultiProgress::new();
        if screen.is_hidden() {
            return Self::Lines(vec![String::new(); fleet.agents().len()]);
        }
        let style = ProgressStyle::with_template("  {prefix:12} [{bar:12}] {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = |agent: &Agent| {
            let bar = screen.add(ProgressBar::new(100));
            bar.set_style(style.clone());
            bar.set_prefix(agent.label());
            bar
        };
        Self::Bars(fleet.agents().iter().map(bar).collect())
    }

    fn show(&mut self, at: usize, agent: &Agent, state: &State, since: Duration) {
        match self {
            Self::Bars(bars) => {
                let Some(bar) = bars.get(at) else { return };
                bar.set_position(state.percent);
                if state.has_ended() {
                    // It stays on the screen as it is.
                    bar.abandon_with_message(state.text());
                } else {
                    bar.set_message(state.text());
                }
            }
            Self::Lines(shown) => {
                let text = state.text();
                if let Some(shown) = shown.get_mut(at).filter(|shown| **shown != text) {
                    say(format_args!(
                        "  {:4.1} s  {:12} {text}",
                        since.as_secs_f64(),
                        agent.label()
                    ));
                    *shown = text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_become_percent_and_words() {
        let updating = json!({"error": 0, "agent": 1, "status": "Updating"});
        let half = json!({"agent": 1, "step": "write", "sent": 512, "total": 1024});
        let state = State::read(Some(&updating), Some(&half));
        assert_eq!(state.percent, 50);
        assert_eq!(state.text(), "Updating: sending the package");
        let unknown = json!({"agent": 1, "step": "open", "sent": 0, "total": 0});
        assert_eq!(State::read(Some(&updating), Some(&unknown)).percent, 0);
    }

    #[test]
    fn an_end_carries_its_reason() {
        let failed =
            json!({"error": 0, "agent": 1, "status": "Error", "error_msg": "Send open file error"});
        let state = State::read(Some(&failed), None);
        assert!(state.has_ended());
        let ending = state.into_ending(Duration::from_secs(3));
        assert_eq!(
            (ending.status.as_str(), ending.reason.as_str()),
            ("Error", "Send open file error")
        );
    }

    #[test]
    fn an_agent_without_a_task_is_not_waited_for() {
        let none = json!({"error": 3, "message": "No task in DB", "agent": 1});
        let state = State::read(Some(&none), None);
        assert!(state.has_ended());
        assert_eq!(state.text(), "No task: No task in DB");
    }

    #[test]
    fn a_task_under_way_is_no_end() {
        for (result, text) in [
            (
                json!({"error": 0, "agent": 1, "status": "In queue"}),
                "In queue",
            ),
            (
                json!({"error": 0, "agent": 1, "status": "Updating"}),
                "Updating: waiting for the agent's word",
            ),
        ] {
            let state = State::read(Some(&result), None);
            assert!(!state.has_ended());
            assert_eq!(state.text(), text);
        }
    }
}
