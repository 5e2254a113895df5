//! One agent in one rollout: its state, its reason, and what it means to the gate.

use wpk_api::{AgentId, TaskId, UnixTime, Version};

use super::fare::Fare;
use super::flights::Flights;
use super::ground::Ground;
use super::inputs::Clock;
use super::roll::Roll;
use super::state::{AgentState, Cause, Reason};
use crate::attempt::Attempt;
use crate::member::Agent;

/// What is seen of an agent in a rollout.
pub(crate) struct Look {
    pub(crate) state: AgentState,
    pub(crate) reason: Reason,
    /// It counts as failed at the gate, whatever became of it later.
    pub(crate) failed: bool,
    /// It counts as begun at the gate.
    pub(crate) begun: bool,
    /// It can still count as begun, or does.
    pub(crate) could: bool,
    /// Its attempt that may not begin (yet).
    pub(crate) queued: Option<TaskId>,
    pub(crate) staged: bool,
    /// Nothing but windows and caps keeps it from going here.
    pub(crate) ready: Option<Version>,
    /// The attempt whose soak is found to be over.
    pub(crate) soaked: Option<TaskId>,
}

/// What its attempts in this rollout add up to.
#[derive(Default)]
pub(crate) struct Past<'a> {
    pub(crate) live: Option<(&'a Attempt, &'a Fare)>,
    /// The newest that was not withdrawn.
    pub(crate) newest: Option<(&'a Attempt, &'a Fare)>,
    pub(crate) foreign: Option<TaskId>,
    pub(crate) failed_begun: bool,
    pub(crate) failed: bool,
    pub(crate) begun: bool,
    pub(crate) hops: u8,
}

/// Who looks, and on what.
pub(crate) struct Looker<'g, 'a> {
    pub(crate) ground: &'g Ground<'a>,
    pub(crate) flights: &'g Flights,
    pub(crate) roll: &'g Roll<'a>,
    /// The number of the rollout's document.
    pub(crate) at: usize,
    /// It will be halted by this plan.
    pub(crate) denied: bool,
}

impl<'g, 'a: 'g> Looker<'g, 'a> {
    /// `number` is the agent's, if the directory knows it. `elsewhere`: it belongs to another
    /// rollout, whose number this is.
    pub(crate) fn look(
        &self,
        id: AgentId,
        number: Option<usize>,
        elsewhere: Option<usize>,
        clock: &mut Clock,
    ) -> Look {
        let place = self.roll.place(id, number);
        let agent = self.ground.agent(number);
        let past = self.past(id, number);
        let mut look = Look {
            state: AgentState::Waiting,
            reason: Reason::MayBegin,
            failed: past.failed_begun,
            begun: past.begun || past.failed_begun,
            could: true,
            queued: None,
            staged: false,
            ready: None,
            soaked: None,
        };
        if let Some((attempt, Fare::Queued)) = past.live {
            look.queued = Some(attempt.id);
            look.staged = attempt.staged;
        }
        let told = self
            .flying(&past, agent, clock)
            .or_else(|| self.arrived(id, &past, agent, place, &mut look, clock))
            .or_else(|| self.left_out(id, agent, place, elsewhere));
        let (state, reason) =
            told.unwrap_or_else(|| self.next(id, &past, agent, place, &mut look, clock));
        (look.state, look.reason) = (state, reason);
        if self.roll.is_excluded(id) {
            (look.failed, look.begun) = (false, false);
        }
        let never = match look.state {
            AgentState::Current | AgentState::Unsupported => true,
            AgentState::Excluded => !matches!(look.reason, Reason::Held(_)),
            AgentState::Unreachable => look.reason == Reason::Gone,
            AgentState::Failed { tries_left: 0 } => true,
            _ => false,
        };
        let left_out = self.roll.is_excluded(id);
        look.could = !left_out && (look.begun || look.failed || !never);
        look
    }

    fn past(&self, id: AgentId, number: Option<usize>) -> Past<'g> {
        let forgiven = self.forgiven(id);
        let mut past = Past::default();
        for at in self.ground.attempts_of(id, number) {
            let Some(known) = self.ground.attempts.get(at) else {
                continue;
            };
            let (attempt, fare) = (known.attempt, self.flights.fare(at));
            if known.document != Some(self.at as u32) {
                if fare.in_flight() || *fare == Fare::Queued {
                    past.foreign = Some(attempt.id);
                }
                continue;
            }
            let counts = attempt.id > forgiven;
            match fare {
                Fare::Withdrawn | Fare::NoFile { .. } => continue,
                Fare::Failed { begun, .. } if counts => {
                    past.failed = true;
                    past.failed_begun |= begun;
                    past.begun |= begun;
                }
                Fare::Failed { .. } => {}
                Fare::Observed { .. } => {
                    past.begun = true;
                    past.hops = past.hops.saturating_add(1);
                }
                Fare::Settled
                | Fare::Begun { .. }
                | Fare::Reported { .. }
                | Fare::Unknown { .. } => {
                    past.begun = true;
                }
                Fare::Queued | Fare::Permitted => {}
            }
            if *fare == Fare::Queued || fare.in_flight() {
                past.live = Some((attempt, fare));
            }
            past.newest = Some((attempt, fare));
        }
        past
    }

    fn forgiven(&self, id: AgentId) -> TaskId {
        let forgiven = self.roll.document.facts.forgiven.get(&id);
        forgiven.copied().unwrap_or(TaskId(i64::MIN))
    }

    /// In flight.
    fn flying(
        &self,
        past: &Past<'_>,
        agent: Option<&Agent>,
        clock: &mut Clock,
    ) -> Option<(AgentState, Reason)> {
        let (attempt, fare) = past.live?;
        let runs = agent.and_then(|agent| agent.member.version);
        let way = runs.zip(self.roll.target);
        let way = way.and_then(|(runs, target)| self.ground.way(runs, target).ok().flatten());
        let left = way.map_or(1, |(_, left)| left.clamp(1, 8));
        let running = AgentState::Running {
            hop: past.hops.saturating_add(1),
            of: past.hops.saturating_add(left),
        };
        match *fare {
            Fare::Permitted => {
                let until = attempt.permit.and_then(|permit| permit.until);
                until.into_iter().for_each(|until| clock.at(until));
                Some((running, Reason::MayBegin))
            }
            Fare::Begun { until } => {
                clock.at(until);
                Some((running, Reason::Installing))
            }
            Fare::Reported { until } => {
                clock.at(until);
                Some((running, Reason::Observing))
            }
            Fare::Unknown { until } => {
                clock.at(until);
                Some((AgentState::Unknown { until }, Reason::NoWord))
            }
            _ => None,
        }
    }

    /// How often it was sent this release, by any rollout, and its last failure.
    pub(crate) fn tries(&self, id: AgentId, hop: Version) -> (u32, Option<(UnixTime, Cause)>) {
        let forgiven = self.forgiven(id);
        let mut tries = 0;
        let mut last = None;
        for at in self.ground.attempts_of(id, self.ground.find(id)) {
            let Some(known) = self.ground.attempts.get(at) else {
                continue;
            };
            let attempt = known.attempt;
            if attempt.rollout.is_none() || attempt.target != Some(hop) || attempt.id <= forgiven {
                continue;
            }
            match self.flights.fare(at) {
                Fare::Failed { at, cause, .. } => {
                    tries += 1;
                    last = Some((*at, cause.clone()));
                }
                Fare::Observed { .. } | Fare::Settled => tries += 1,
                _ => {}
            }
        }
        (tries, last)
    }
}
