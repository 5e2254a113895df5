//! Looking on while the agents are upgraded: asks the manager ten times a second
//! for the result of each task (`upgrade_result`) and how far each delivery is
//! (`upgrade_progress`), and at the end why tasks failed. Bars where the output is a terminal, else a line for
//! every change.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};
use wpk_wire::own::{AskProgress, AskTimeline, Delivery, DeliveryStep, TaskTimeline};
use wpk_wire::{Item, Step, UpgradeRequest};

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
    let agents = fleet.ids();
    let results = UpgradeRequest::Result {
        agents: agents.iter().copied().map(Into::into).collect(),
    };
    let deliveries = UpgradeRequest::Own(AskProgress { agents }.into());
    let mut view = View::new(fleet);
    let mut endings: Vec<Option<Ending>> = vec![None; fleet.agents().len()];
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let results = manager.items(&results).await?;
        let deliveries = manager.items(&deliveries).await?;
        for (at, agent) in fleet.agents().iter().enumerate() {
            let Some(slot) = endings.get_mut(at).filter(|slot| slot.is_none()) else {
                continue;
            };
            let delivery = item_of(&deliveries, agent).and_then(Delivery::from_item);
            let state = State::read(item_of(&results, agent), delivery.as_ref());
            view.show(at, agent, &state, begun.elapsed());
            if state.has_ended() {
                *slot = Some(state.into_ending(begun.elapsed()));
            }
        }
        if endings.iter().all(Option::is_some) {
            let mut endings: Vec<Ending> = endings.into_iter().flatten().collect();
            explain(manager, fleet, &mut endings).await?;
            return Ok(endings);
        }
    }
}

/// Asks why those failed that did: their timelines (`upgrade_timeline`) have the
/// words of whoever said it.
async fn explain(
    manager: &Manager,
    fleet: &Fleet,
    endings: &mut [Ending],
) -> Result<(), DemoError> {
    let asked = AskTimeline {
        agents: fleet.ids(),
        // The cause is all that is wanted.
        entries: Some(0),
        ..AskTimeline::default()
    };
    let items = manager.items(&UpgradeRequest::Own(asked.into())).await?;
    for (ending, agent) in endings.iter_mut().zip(fleet.agents()) {
        let told = item_of(&items, agent).and_then(TaskTimeline::from_item);
        ending.cause = told.and_then(|told| told.cause?.entry.failure);
    }
    Ok(())
}

fn item_of<'a>(items: &'a [Item], agent: &Agent) -> Option<&'a Item> {
    items.iter().find(|item| item.agent_id() == Some(agent.id))
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
    fn read(result: Option<&Item>, delivery: Option<&Delivery>) -> Self {
        let Some(result) = result else {
            return Self::default();
        };
        if !result.error.is_success() {
            // The request was refused for this agent; the answer to it said why.
            return Self {
                status: "No task".to_owned(),
                detail: result.message.to_string(),
                percent: 0,
            };
        }
        let mut state = Self {
            status: result.status.as_deref().unwrap_or_default().to_owned(),
            ..Self::default()
        };
        if state.status == "In queue" {
            return state;
        }
        if state.has_ended() {
            state.detail = result.error_msg.clone().unwrap_or_default();
            state.percent = 100;
            return state;
        }
        let (detail, percent) = match delivery {
            // The manager has done its part.
            None => ("waiting for the agent's word", 100),
            Some(delivery) => match delivery.step {
                DeliveryStep::Download => ("fetching the package", 0),
                DeliveryStep::Agent(Step::LockRestart | Step::Open | Step::Write) => {
                    let percent = delivery.sent * 100 / delivery.total.max(1);
                    ("sending the package", percent)
                }
                DeliveryStep::Agent(Step::Close | Step::Sha1) => ("comparing digests", 100),
                _ => ("starting the installer", 100),
            },
        };
        (state.detail, state.percent) = (detail.to_owned(), percent);
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
            cause: None,
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
    use wpk_api::{AgentId, TaskId};
    use wpk_wire::TaskCode;

    fn agent() -> AgentId {
        AgentId::new(1).unwrap()
    }

    fn shown(status: &'static str) -> Item {
        Item {
            status: Some(status.into()),
            ..Item::created(agent(), TaskId(1))
        }
    }

    fn delivery(step: Step, sent: u64, total: u64) -> Delivery {
        Delivery {
            agent: agent(),
            task_id: TaskId(1),
            step: step.into(),
            sent,
            total,
            at_once: 0,
        }
    }

    #[test]
    fn deliveries_become_percent_and_words() {
        let updating = shown("Updating");
        let half = delivery(Step::Write, 512, 1024);
        let state = State::read(Some(&updating), Some(&half));
        assert_eq!(state.percent, 50);
        assert_eq!(state.text(), "Updating: sending the package");
        let unknown = delivery(Step::Open, 0, 0);
        assert_eq!(State::read(Some(&updating), Some(&unknown)).percent, 0);
    }

    #[test]
    fn an_end_carries_its_reason() {
        let failed = Item {
            error_msg: Some("Send open file error".to_owned()),
            ..shown("Error")
        };
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
        let none = Item::task(TaskCode::NoTask, agent());
        let state = State::read(Some(&none), None);
        assert!(state.has_ended());
        assert_eq!(state.text(), "No task: No task in DB");
    }

    #[test]
    fn a_task_under_way_is_no_end() {
        for (status, text) in [
            ("In queue", "In queue"),
            ("Updating", "Updating: waiting for the agent's word"),
        ] {
            let state = State::read(Some(&shown(status)), None);
            assert!(!state.has_ended());
            assert_eq!(state.text(), text);
        }
    }
}
