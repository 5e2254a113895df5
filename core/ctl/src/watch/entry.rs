//! One agent of the board: what is known of its upgrade, in words.

use std::time::Duration;

use tokio::time::Instant;
use wpk_api::{AgentId, Cause, Confirmation, TaskId};
use wpk_wire::own::{Delivery, DeliveryStep, TaskNow, TaskPhase, TaskTimeline};
use wpk_wire::{Code, Step};

use crate::manager::state::State;
use crate::manager::timelines::{because, cause, doubt};
use crate::output::clean;

/// How much of the file the agent has, 0 to 100; `None` until its size is known.
pub(crate) fn percent(delivery: &Delivery) -> Option<u64> {
    let sent = u128::from(delivery.sent.min(delivery.total)) * 100;
    sent.checked_div(u128::from(delivery.total))
        .and_then(|percent| u64::try_from(percent).ok())
}

/// One agent.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) agent: AgentId,
    pub(crate) name: Option<String>,
    pub(crate) task: Option<TaskId>,
    pub(crate) state: State,
    /// Code of a refusal.
    pub(crate) code: Option<Code>,
    /// Why it is refused or failed: the fixed text.
    pub(crate) reason: Option<String>,
    /// Why it failed or timed out: the words of whoever said it.
    pub(crate) cause: Option<Cause>,
    /// What the manager found out about the agent's version afterwards.
    pub(crate) confirmation: Option<Confirmation>,
    /// Nothing more is to be learned about its end.
    explained: bool,
    /// The version before.
    pub(crate) from: Option<String>,
    /// The version that the agent reported at the end.
    pub(crate) reported: Option<String>,
    /// The running delivery.
    pub(crate) delivery: Option<Delivery>,
    /// A delivery was seen and is over.
    pub(crate) delivered: bool,
    /// Where its task is while it is being updated, as far as the manager said.
    pub(crate) phase: Option<TaskPhase>,
    /// What it waits for, in the manager's words.
    pub(crate) waits_for: Option<String>,
    /// Since when it is being updated.
    pub(crate) since: Option<Instant>,
    /// When its end was seen.
    pub(crate) ended: Option<Instant>,
    /// From the request to the end.
    pub(crate) took: Option<Duration>,
}

impl Entry {
    pub(super) fn new(agent: AgentId) -> Self {
        Self {
            agent,
            name: None,
            task: None,
            // What holds until the manager says otherwise.
            state: State::Refused,
            code: None,
            reason: Some("the manager did not answer for this agent".to_owned()),
            cause: None,
            confirmation: None,
            explained: false,
            from: None,
            reported: None,
            delivery: None,
            delivered: false,
            phase: None,
            waits_for: None,
            since: None,
            ended: None,
            took: None,
        }
    }

    /// The state in words; percentages rounded down to multiples of `grain`.
    pub(crate) fn describe(&self, grain: u64) -> String {
        let word = self.state.word();
        let doing = match self.state {
            State::Updating => self.step(grain),
            _ => None,
        };
        match (doing, self.why()) {
            (Some(doing), _) => format!("{word} ({doing})"),
            (None, Some(why)) => format!("{word}: {why}"),
            (None, None) => word.to_owned(),
        }
    }

    /// What is being done, for a row of a picture.
    pub(crate) fn doing(&self) -> String {
        match (self.phase, self.delivery.as_ref().and_then(percent)) {
            (Some(TaskPhase::Installing), _) => "installing, report awaited".to_owned(),
            (Some(TaskPhase::Sending), Some(percent)) => format!("sending {percent}%"),
            _ => self.step(1).unwrap_or_else(|| "updating".to_owned()),
        }
    }

    fn step(&self, grain: u64) -> Option<String> {
        match (self.phase, &self.delivery) {
            (Some(TaskPhase::Installing), _) => Some("installing".to_owned()),
            (Some(TaskPhase::Waiting), _) => Some(match self.waits_for.as_deref() {
                Some("file") => "waits for its file".to_owned(),
                Some("turn") => "waits for its turn".to_owned(),
                Some(words) => format!("waits: {}", clean(words)),
                None => "waits".to_owned(),
            }),
            (_, Some(delivery)) => {
                let step = delivery.step;
                let writes = step == DeliveryStep::Agent(Step::Write);
                Some(match percent(delivery).filter(|_| writes) {
                    Some(percent) => {
                        let percent = percent.checked_div(grain).unwrap_or(0) * grain;
                        format!("{step} {percent}%")
                    }
                    None => step.to_string(),
                })
            }
            (_, None) if self.delivered => Some("waiting for the agent's report".to_owned()),
            (_, None) => None,
        }
    }

    /// Why it is so: a refusal with its code, a failure with its cause, an end
    /// that is in doubt with what was seen.
    pub(crate) fn why(&self) -> Option<String> {
        match (self.code, &self.reason) {
            (Some(code), Some(reason)) => Some(format!("code {code}: {reason}")),
            (Some(code), None) => Some(format!("code {code}")),
            (None, reason) => match &self.cause {
                Some(cause) => Some(because(reason.as_deref(), cause)),
                None => reason.clone().or_else(|| doubt(self.confirmation.as_ref())),
            },
        }
    }

    /// What the manager saw instead of the version that was sent.
    pub(crate) fn seen(&self) -> Option<String> {
        let seen = self.confirmation.as_ref().and_then(Confirmation::seen);
        seen.filter(|seen| !seen.is_empty()).map(clean)
    }

    /// Whether more of its upgrade may be heard.
    pub(super) fn live(&self) -> bool {
        self.task.is_some() && !self.state.ended()
    }

    /// Whether the manager's timeline may still say something about its end.
    pub(super) fn unexplained(&self) -> bool {
        let asks = matches!(
            self.state,
            State::Updated | State::Confirming | State::Error | State::Timeout
        );
        self.task.is_some() && asks && !self.explained
    }

    /// Where its task is now. That its installer was begun is never taken back.
    pub(super) fn place(&mut self, now: &TaskNow) {
        let installs = self.phase == Some(TaskPhase::Installing);
        if self.state != State::Updating || self.task != Some(now.told.task_id) || installs {
            return;
        }
        let known = [
            TaskPhase::Waiting,
            TaskPhase::Sending,
            TaskPhase::Installing,
        ];
        self.phase = now.phase.filter(|phase| known.contains(phase));
        self.waits_for.clone_from(&now.waits_for);
        self.delivery = match (self.phase, now.step) {
            (Some(TaskPhase::Installing), _) | (_, None) => None,
            (_, Some(step)) => Some(Delivery {
                agent: self.agent,
                task_id: now.told.task_id,
                step,
                sent: now.sent,
                total: now.total,
                at_once: 0,
            }),
        };
    }

    /// Nobody writes to it any more.
    pub(super) fn left(&mut self) {
        if self.delivery.take().is_some() {
            self.phase = None;
            self.waits_for = None;
        }
    }

    /// What the timeline says about its end; `None`: nothing, now or later.
    pub(super) fn explain(&mut self, timeline: Option<&TaskTimeline>) {
        let timeline = timeline.filter(|timeline| Some(timeline.task_id) == self.task);
        self.explained = true;
        let Some(timeline) = timeline else {
            // What was awaited cannot be learned any more.
            if self.state == State::Confirming {
                self.state = State::Unconfirmed;
                self.confirmation = Some(Confirmation::Unconfirmed(String::new()));
            }
            return;
        };
        if matches!(self.state, State::Error | State::Timeout) {
            self.cause = timeline.cause.as_ref().and_then(cause);
            return;
        }
        self.state = match &timeline.confirmation {
            Some(Confirmation::Awaited) => State::Confirming,
            Some(Confirmation::Unconfirmed(_)) => State::Unconfirmed,
            Some(Confirmation::Confirmed | Confirmation::NotChecked) | None => State::Updated,
        };
        self.explained = self.state != State::Confirming;
        self.confirmation.clone_from(&timeline.confirmation);
    }
}
