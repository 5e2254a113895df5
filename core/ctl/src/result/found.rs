//! One task as the manager tells of it: a row for people, an object for scripts,
//! and what it means for the exit status.

use serde_json::{Value, json};
use wpk_api::{AgentId, Confirmation, TaskId};
use wpk_wire::own::{ListedTask, TaskTimeline};
use wpk_wire::{Item, TaskCode};

use crate::manager::state::State;
use crate::manager::timelines::{Told, because, cause, doubt};
use crate::output::{Ending, clean};

/// The columns of every table of tasks.
pub(super) const COLUMNS: [&str; 9] = [
    "agent", "name", "task", "node", "command", "status", "reason", "created", "updated",
];

/// A task, or why there is none.
pub(super) struct Found {
    pub(super) agent: Option<AgentId>,
    /// The agent's name, where the manager tells it.
    pub(super) name: Option<String>,
    pub(super) item: Item,
    /// `None` for a text that is no status.
    pub(super) state: Option<State>,
    /// What happened to it, as far as the manager tells.
    pub(super) timeline: Option<TaskTimeline>,
}

impl Found {
    /// The last task of an agent.
    pub(super) fn of_agent(agent: AgentId, item: Option<Item>) -> Self {
        let item = item.unwrap_or_else(|| unanswered("the manager did not answer for this agent"));
        Self {
            agent: Some(agent),
            name: None,
            state: item.status.as_deref().and_then(State::from_shown),
            item,
            timeline: None,
        }
    }

    /// A task by its id.
    pub(super) fn of_task(task: TaskId, told: Option<Told>) -> Self {
        let told = told.unwrap_or_else(|| Told {
            item: unanswered("the manager did not answer for this task"),
            timeline: None,
        });
        let mut found = Self {
            agent: told.item.agent_id(),
            name: None,
            state: told.item.status.as_deref().and_then(State::from_shown),
            item: Item {
                task_id: Some(task),
                ..told.item
            },
            timeline: None,
        };
        found.learn(told.timeline);
        found
    }

    /// A task of the list, which tells all at once.
    pub(super) fn listed(item: Item) -> Self {
        let timeline = TaskTimeline::from_item(&item);
        let mut found = Self {
            agent: item.agent_id(),
            name: ListedTask::from_item(&item).and_then(|listed| listed.name.as_deref().map(clean)),
            state: item.status.as_deref().and_then(State::from_shown),
            item,
            timeline: None,
        };
        found.learn(timeline);
        found
    }

    /// Whether the manager may have more to tell: of every task where all of its
    /// steps are wanted, else of one whose end says little.
    pub(super) fn has_timeline(&self, log: bool) -> bool {
        let ends = [State::Updated, State::Error, State::Timeout].map(Some);
        self.item.error.is_success() && (log || ends.contains(&self.state))
    }

    /// What happened to it, if that is told of the same task.
    pub(super) fn learn(&mut self, timeline: Option<TaskTimeline>) {
        let same = |timeline: &TaskTimeline| Some(timeline.task_id) == self.item.task_id;
        self.timeline = timeline.filter(same);
        if self.state == Some(State::Updated) {
            self.state = Some(match self.confirmation() {
                Some(Confirmation::Awaited) => State::Confirming,
                Some(Confirmation::Unconfirmed(_)) => State::Unconfirmed,
                _ => State::Updated,
            });
        }
    }

    fn confirmation(&self) -> Option<&Confirmation> {
        self.timeline.as_ref()?.confirmation.as_ref()
    }

    /// Well where nothing went wrong so far: a task may be under way. Unknown
    /// where the task has ended and nobody knows how.
    pub(super) fn ending(&self) -> Ending {
        match self.state {
            _ if !self.item.error.is_success() => Ending::Badly,
            Some(state) if state.well() || !state.ended() => Ending::Well,
            Some(state) if state.open() => Ending::Unknown,
            _ => Ending::Badly,
        }
    }

    /// The documented word, an unknown text as it is, or a dash.
    pub(super) fn status(&self) -> String {
        match (self.state, &self.item.status) {
            (Some(state), _) => state.word().to_owned(),
            (None, Some(text)) => clean(text),
            (None, None) => "-".to_owned(),
        }
    }

    /// Why it is so; `None` where there is nothing to say.
    pub(super) fn reason(&self) -> Option<String> {
        let fixed = self.item.error_msg.as_deref().map(clean);
        if !self.item.error.is_success() {
            let text = clean(&self.item.message);
            return fixed.or_else(|| Some(format!("code {}: {text}", self.item.error)));
        }
        let timeline = self.timeline.as_ref();
        let cause = timeline
            .and_then(|told| told.cause.as_ref())
            .and_then(cause);
        let why = match cause {
            Some(cause) => Some(because(fixed.as_deref(), &cause)),
            None => fixed.or_else(|| doubt(self.confirmation())),
        };
        let late = timeline.is_some_and(|timeline| timeline.late);
        match why {
            why if !late => why,
            Some(why) => Some(format!("{why} (the agent's word came late)")),
            None => Some("the agent's word came late".to_owned()),
        }
    }

    /// What stands in [`COLUMNS`]; a dash for what is not known.
    pub(super) fn cells(&self) -> [String; 9] {
        let item = &self.item;
        let or_dash = |text: Option<&str>| text.map_or("-".to_owned(), clean);
        [
            self.agent.map_or("-".to_owned(), |agent| agent.to_string()),
            or_dash(self.name.as_deref()),
            item.task_id.map_or("-".to_owned(), |task| task.to_string()),
            or_dash(item.node.as_deref()),
            or_dash(item.command.as_ref().map(|command| command.as_str())),
            self.status(),
            self.reason().unwrap_or("-".to_owned()),
            or_dash(item.create_time.as_deref()),
            // The documented dialect writes 0 until the first update.
            or_dash(item.update_time.as_deref().filter(|time| *time != "0")),
        ]
    }

    /// What leaves a doubt about how it ended: `late`, `confirmation` and `seen`.
    pub(super) fn doubts(&self) -> [String; 3] {
        let late = self.timeline.as_ref().is_some_and(|timeline| timeline.late);
        let confirmation = self.confirmation();
        [
            if late {
                "late".to_owned()
            } else {
                String::new()
            },
            confirmation.map_or(String::new(), |one| one.as_str().to_owned()),
            confirmation
                .and_then(Confirmation::seen)
                .map_or(String::new(), clean),
        ]
    }

    /// With `log` all steps.
    pub(super) fn object(&self, log: bool) -> Value {
        let (item, timeline) = (&self.item, self.timeline.as_ref());
        let confirmation = self.confirmation();
        let mut object = json!({
            "agent": self.agent,
            "name": self.name,
            "error": item.error,
            "message": item.message,
            "task_id": item.task_id,
            "node": item.node,
            "command": item.command,
            "status": self.state.map(State::status).or(item.status.as_deref()),
            "outcome": self.state.map(State::outcome),
            "error_msg": item.error_msg,
            "cause": timeline.map(|told| &told.cause),
            "late": timeline.map(|told| told.late),
            "confirmation": confirmation.map(Confirmation::as_str),
            "seen": confirmation.and_then(Confirmation::seen),
            "create_time": item.create_time,
            "update_time": item.update_time,
        });
        if let (true, Value::Object(members)) = (log, &mut object) {
            let timeline = timeline.map(|told| &told.timeline);
            members.insert("timeline".to_owned(), json!(timeline));
        }
        object
    }
}

fn unanswered(text: &'static str) -> Item {
    Item {
        error: TaskCode::Unknown.into(),
        message: text.into(),
        ..Item::default()
    }
}
