//! One rollout's turn: its agents are looked at, its gates judged, and what follows is
//! put into the plan.

use std::sync::Arc;

use wpk_api::{AgentId, UnixTime};

use super::action::Action;
use super::flights::Flights;
use super::gate::{Counts, Gate, Tally};
use super::grant::{Ready, grant};
use super::ground::Ground;
use super::inputs::Clock;
use super::look::{Look, Looker};
use super::roll::{Place, Roll};
use super::state::{AgentState, Reason, Verdict};
use super::status::{RolloutState, RolloutStatus, WaveStatus};
use crate::definition::{Wave, seconds};
use crate::facts::{Phase, RolloutKey};

/// The plan as far as it is made.
pub(crate) struct Sheet {
    pub(crate) actions: Vec<Action>,
    pub(crate) halts: Vec<Action>,
    /// By the agents' numbers; agents that the directory does not know behind them.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// An agent of the rollout that is in no open wave.
pub(crate) struct Other {
    pub(crate) agent: AgentId,
    pub(crate) could: bool,
    pub(crate) place: Place,
}

/// What is seen of all agents of the rollout.
struct Survey {
    tallies: Vec<Tally>,
    /// Of agents in no open wave.
    counts: Counts,
    ready: Vec<Vec<Ready>>,
    others: Vec<Other>,
}

impl Survey {
    fn member(&mut self, wave: u16, look: &Look) {
        if let Some(tally) = self.tallies.get_mut(wave as usize) {
            tally.add(look);
        }
    }

    fn other(&mut self, agent: AgentId, place: Place, look: &Look) {
        self.counts.add(look.state);
        let could = match look.state {
            AgentState::Waiting | AgentState::Unreachable => true,
            AgentState::Failed { tries_left } => tries_left > 0,
            _ => false,
        };
        self.others.push(Other {
            agent,
            could,
            place,
        });
    }
}

pub(crate) struct Turn<'t, 'a> {
    pub(crate) roll: &'t Roll<'a>,
    /// The number of its document.
    pub(crate) at: usize,
    pub(crate) now: UnixTime,
    pub(crate) key: &'t Arc<RolloutKey>,
    pub(crate) owners: &'t [Option<usize>],
    /// Which documents are live.
    pub(crate) live: &'t [bool],
}

impl Turn<'_, '_> {
    pub(crate) fn take(
        &self,
        ground: &Ground<'_>,
        flights: &mut Flights,
        clock: &mut Clock,
        sheet: &mut Sheet,
    ) -> RolloutStatus {
        let document = self.roll.document;
        let denied = (self.roll.target)
            .is_some_and(|target| ground.inputs.desired.releases.is_denied(target));
        let Survey {
            tallies,
            mut counts,
            ready,
            others,
        } = self.survey(ground, flights, denied, clock, sheet);
        for tally in &tallies {
            counts.merge(&tally.counts);
        }
        let gates = self.gates(&tallies);
        let mut status = RolloutStatus {
            key: document.key.clone(),
            state: self.state(&counts),
            counts,
            waves: self.wave_statuses(&tallies, &gates),
            problems: Vec::new(),
            elsewhere: Vec::new(),
            overdue: None,
        };
        self.deadline(ground, &mut status, clock);
        if !self.roll.running() {
            return status;
        }
        if let Some(reason) = self.halts(denied, &gates) {
            let rollout = document.key.clone();
            status.state = RolloutState::Halted(reason.clone());
            sheet.halts.push(Action::Halt { rollout, reason });
            return status;
        }
        if ground.now() < document.start() {
            clock.at(document.start());
            return status;
        }
        self.go_on(ground, &gates, &others, &mut status, sheet);
        for (wave, (ready, tally)) in ready.into_iter().zip(&tallies).enumerate() {
            for (one, granted) in grant(ground, flights, self.roll, self.at, wave, tally, ready) {
                sheet.actions.extend(granted.action);
                let verdict = one
                    .verdict
                    .and_then(|at| sheet.verdicts.get_mut(at)?.as_mut());
                if let Some(verdict) = verdict {
                    (verdict.state, verdict.reason) = (granted.state, granted.reason);
                }
            }
        }
        status
    }

    /// Writes what is seen of an agent into the plan, if this rollout speaks for it; where
    /// it stands then.
    fn tell(
        &self,
        id: AgentId,
        number: Option<usize>,
        look: &mut Look,
        sheet: &mut Sheet,
    ) -> Option<usize> {
        if let Some(attempt) = look.soaked {
            let at = self.now;
            sheet.actions.push(Action::Soaked { attempt, at });
        }
        let owner = number.and_then(|at| self.owners.get(at).copied().flatten());
        if number.is_some() && owner != Some(self.at) {
            return None;
        }
        let verdict = Verdict {
            agent: id,
            rollout: Some(Arc::clone(self.key)),
            wave: self.roll.place(id, number).wave(),
            state: look.state,
            reason: std::mem::replace(&mut look.reason, Reason::MayBegin),
        };
        match number {
            Some(at) => {
                *sheet.verdicts.get_mut(at)? = Some(verdict);
                Some(at)
            }
            None => {
                sheet.verdicts.push(Some(verdict));
                Some(sheet.verdicts.len() - 1)
            }
        }
    }

    /// Looks at every agent, in the order of their numbers: they lie in memory like that.
    fn survey(
        &self,
        ground: &Ground<'_>,
        flights: &Flights,
        denied: bool,
        clock: &mut Clock,
        sheet: &mut Sheet,
    ) -> Survey {
        let looker = Looker {
            ground,
            flights,
            roll: self.roll,
            at: self.at,
            denied,
        };
        let waves = self.roll.document.facts.waves.len();
        let mut survey = Survey {
            tallies: vec![Tally::default(); waves],
            counts: Counts::default(),
            ready: (0..waves).map(|_| Vec::new()).collect(),
            others: Vec::new(),
        };
        for (number, (agent, owner)) in ground.agents.iter().zip(self.owners).enumerate() {
            let id = agent.member.id;
            let place = self.roll.place(id, Some(number));
            let Place::Open(wave) = place else {
                if *owner == Some(self.at) {
                    let mut look = looker.look(id, Some(number), None, clock);
                    survey.other(id, place, &look);
                    self.tell(id, Some(number), &mut look, sheet);
                }
                continue;
            };
            let is_live = |other: &usize| self.live.get(*other).copied().unwrap_or(false);
            let elsewhere = owner.filter(|other| *other != self.at).filter(is_live);
            let mut look = looker.look(id, Some(number), elsewhere, clock);
            survey.member(wave, &look);
            let verdict = self.tell(id, Some(number), &mut look, sheet);
            if let Some((hop, ready)) = look.ready.zip(survey.ready.get_mut(wave as usize)) {
                ready.push(Ready {
                    agent: id,
                    number,
                    hop,
                    queued: look.queued,
                    staged: look.staged,
                    verdict,
                });
            }
        }
        for (id, wave) in self.roll.ghosts() {
            let mut look = looker.look(id, None, None, clock);
            survey.member(wave, &look);
            self.tell(id, None, &mut look, sheet);
        }
        self.sort(ground, &mut survey.ready);
        survey
    }

    /// Puts those that are ready into the order of their wave.
    fn sort(&self, ground: &Ground<'_>, ready: &mut [Vec<Ready>]) {
        for (wave, ready) in ready.iter_mut().enumerate() {
            if ready.len() < 2 {
                continue;
            }
            let mut places = vec![0u32; ground.agents.len()];
            for (place, agent) in self.roll.members(wave).enumerate() {
                if let Some(known) = ground.find(agent).and_then(|at| places.get_mut(at)) {
                    *known = place as u32;
                }
            }
            ready.sort_by_key(|one| places.get(one.number).copied());
        }
    }

    fn gates(&self, tallies: &[Tally]) -> Vec<Gate> {
        let document = self.roll.document;
        let waves = &document.definition.waves;
        let judge = |(number, wave): (usize, &Wave)| match tallies.get(number) {
            None => Gate::NotOpen,
            Some(tally) => {
                let gate = Tally::gate(tally, wave, number + 1 == waves.len());
                let passed = document
                    .facts
                    .waves
                    .get(number)
                    .and_then(|wave| wave.passed);
                match gate {
                    Gate::Exceeded(_) => gate,
                    _ if passed.is_some() => Gate::Passed,
                    _ => gate,
                }
            }
        };
        waves.iter().enumerate().map(judge).collect()
    }

    fn wave_statuses(&self, tallies: &[Tally], gates: &[Gate]) -> Vec<WaveStatus> {
        let waves = self
            .roll
            .document
            .definition
            .waves
            .iter()
            .zip(gates)
            .enumerate();
        let status = |(number, (wave, gate)): (usize, (&Wave, &Gate))| {
            let ahead = self.roll.ahead(number).len();
            let tally = tallies.get(number).copied().unwrap_or(Tally {
                members: ahead,
                ..Tally::default()
            });
            WaveStatus {
                name: wave.name.clone(),
                may_fail: tally.may_fail(wave),
                tally,
                gate: gate.clone(),
            }
        };
        waves.map(status).collect()
    }

    fn halts(&self, denied: bool, gates: &[Gate]) -> Option<String> {
        if denied {
            let target = self.roll.target?;
            return Some(format!("release {target} is denied"));
        }
        gates.iter().find_map(|gate| match gate {
            Gate::Exceeded(why) => Some(why.clone()),
            _ => None,
        })
    }

    fn state(&self, counts: &Counts) -> RolloutState {
        let document = self.roll.document;
        match &document.facts.phase {
            Phase::Paused => RolloutState::Paused,
            Phase::Halted(why) => RolloutState::Halted(why.clone()),
            Phase::Superseded => RolloutState::Superseded,
            Phase::Cancelled => RolloutState::Cancelled,
            Phase::Running if counts.unfinished() == 0 => RolloutState::Converged,
            Phase::Running => RolloutState::Running,
        }
    }

    fn deadline(&self, ground: &Ground<'_>, status: &mut RolloutStatus, clock: &mut Clock) {
        let document = self.roll.document;
        let Some(deadline) = document.definition.deadline else {
            return;
        };
        let until = document.start().saturating_add(seconds(deadline));
        clock.at(until);
        let counts = &status.counts;
        let left = counts.unfinished() + counts.unreachable + counts.failed;
        if until <= ground.now() && left > 0 && document.is_live() {
            status.overdue = Some(left);
        }
    }
}

/// What is told of an agent that no rollout has.
pub(crate) fn nobodys(agent: AgentId) -> Verdict {
    Verdict {
        agent,
        rollout: None,
        wave: None,
        state: AgentState::Excluded,
        reason: Reason::NotSelected,
    }
}
