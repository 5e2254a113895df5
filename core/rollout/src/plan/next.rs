//! Agents that are to be upgraded, or are left out: what each waits for.

use wpk_api::{AgentId, UnixTime, Version};

use super::fare::Fare;
use super::inputs::Clock;
use super::look::{Look, Looker, Past};
use super::roll::Place;
use super::state::{AgentState, Cause, Reason};
use crate::facts::Phase;
use crate::member::Agent;

impl Looker<'_, '_> {
    /// It is not to be upgraded.
    pub(crate) fn left_out(
        &self,
        id: AgentId,
        agent: Option<&Agent>,
        place: Place,
        elsewhere: Option<usize>,
    ) -> Option<(AgentState, Reason)> {
        let excluded = |reason| Some((AgentState::Excluded, reason));
        if self.roll.is_excluded(id) {
            return excluded(Reason::ByHand);
        }
        if let Some(why) = self.ground.inputs.holds.get(&id) {
            return excluded(Reason::Held(why.clone()));
        }
        let Some(agent) = agent else {
            return Some((AgentState::Unreachable, Reason::Gone));
        };
        if let Some(other) = elsewhere.and_then(|at| self.ground.keys.get(at)) {
            return excluded(Reason::Elsewhere(other.name.clone()));
        }
        if matches!(place, Place::Ahead(_)) && !self.roll.matches(&agent.member) {
            return excluded(Reason::NoMatch);
        }
        let why = agent.unsupported.clone()?;
        Some((AgentState::Unsupported, Reason::Unsupported(why)))
    }

    /// What comes next for an agent that is to be upgraded.
    pub(crate) fn next(
        &self,
        id: AgentId,
        past: &Past<'_>,
        agent: Option<&Agent>,
        place: Place,
        look: &mut Look,
        clock: &mut Clock,
    ) -> (AgentState, Reason) {
        let unsupported = |reason| (AgentState::Unsupported, reason);
        let (Some(target), Some(agent)) = (self.roll.target, agent) else {
            return unsupported(Reason::NoTarget);
        };
        let offline = (
            AgentState::Unreachable,
            Reason::Offline(agent.member.status),
        );
        let Some(runs) = agent.member.version else {
            let known = agent.member.connected();
            return if known {
                unsupported(Reason::NoVersion)
            } else {
                offline
            };
        };
        let hop = match self.ground.way(runs, target) {
            Ok(way) => way.map_or(target, |(hop, _)| hop),
            Err(why) => {
                let failed = self.failed_before(id, past);
                return failed.unwrap_or_else(|| unsupported(Reason::NoWay(why)));
            }
        };
        let (tries, failure) = self.tries(id, hop);
        let most = self.roll.document.definition.retries.saturating_add(1);
        if tries >= most {
            look.failed |= past.failed;
            let tried = format!("it was sent {hop} {tries} times already");
            let (_, cause) = failure.unwrap_or((0, Cause::Said(tried.into())));
            return (AgentState::Failed { tries_left: 0 }, Reason::Failed(cause));
        }
        if !agent.member.connected() {
            return match failure {
                Some((_, cause)) => {
                    let tries_left = most.saturating_sub(tries);
                    (AgentState::Failed { tries_left }, Reason::Failed(cause))
                }
                None => offline,
            };
        }
        let wait = |reason| (AgentState::Waiting, reason);
        if let Some(task) = past.foreign {
            return wait(Reason::OtherTask(task));
        }
        if let Some(reason) = self.not_yet(place, clock) {
            let stopped = matches!(reason, Reason::Paused | Reason::Halted);
            return match failure {
                // What stopped it is to be seen, and whom `retry` is for.
                Some((_, cause)) if stopped && past.failed => {
                    let tries_left = most.saturating_sub(tries);
                    (AgentState::Failed { tries_left }, Reason::Failed(cause))
                }
                _ => wait(reason),
            };
        }
        let failure = failure.map(|(at, cause)| (at, tries, cause));
        if let Some(reason) = self.pauses(hop, agent, failure, clock) {
            return wait(reason);
        }
        look.ready = Some(hop);
        wait(Reason::MayBegin)
    }

    /// It is tried again later: it failed so often, or its file cannot be had.
    fn pauses(
        &self,
        hop: Version,
        agent: &Agent,
        failure: Option<(UnixTime, u32, Cause)>,
        clock: &mut Clock,
    ) -> Option<Reason> {
        let mut later = |again: UnixTime| {
            clock.at(again);
            (again > self.ground.now()).then_some(again)
        };
        if let Some((at, tries, cause)) = failure {
            let pause = self.roll.document.definition.pause_after(tries);
            if let Some(again) = later(at.saturating_add(pause)) {
                return Some(Reason::Retry(again, cause));
            }
        }
        let trouble = self.flights.sources.of(hop, &agent.member)?;
        let again = later(trouble.again())?;
        Some(Reason::NoFile(Some(again), trouble.cause.clone()))
    }

    /// One that failed, and cannot go on for another reason now, has failed all the same.
    fn failed_before(&self, id: AgentId, past: &Past<'_>) -> Option<(AgentState, Reason)> {
        let (attempt, fare) = past.newest.as_ref()?;
        let Fare::Failed { cause, .. } = fare else {
            return None;
        };
        if !past.failed {
            return None;
        }
        let tries = attempt.target.map_or(0, |hop| self.tries(id, hop).0);
        let most = self.roll.document.definition.retries.saturating_add(1);
        let tries_left = most.saturating_sub(tries);
        let reason = Reason::Failed(cause.clone());
        Some((AgentState::Failed { tries_left }, reason))
    }

    /// What the rollout or the wave waits for.
    fn not_yet(&self, place: Place, clock: &mut Clock) -> Option<Reason> {
        let document = self.roll.document;
        match document.facts.phase {
            Phase::Paused => return Some(Reason::Paused),
            Phase::Running if !self.denied => {}
            _ => return Some(Reason::Halted),
        }
        let start = document.start();
        if self.ground.now() < start {
            clock.at(start);
            return Some(Reason::Start(start));
        }
        match place {
            Place::Open(_) => None,
            Place::Ahead(wave) => {
                let wave = document.definition.waves.get(wave as usize);
                Some(wave.map_or(Reason::FirstWave, |wave| Reason::Wave(wave.name.clone())))
            }
            Place::None if document.facts.population.is_none() => Some(Reason::FirstWave),
            Place::None => Some(Reason::Joins),
        }
    }
}
