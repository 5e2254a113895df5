//! Agents that arrived: watched, seen to be well, or lost.

use wpk_api::{AgentId, UnixTime};

use super::fare::{Fare, settlement};
use super::inputs::Clock;
use super::look::{Look, Looker, Past};
use super::roll::Place;
use super::state::{AgentState, Cause, Reason};
use crate::attempt::Attempt;
use crate::member::Agent;

impl Looker<'_, '_> {
    /// It was brought to the target, or runs it by itself.
    pub(crate) fn arrived(
        &self,
        id: AgentId,
        past: &Past<'_>,
        agent: Option<&Agent>,
        place: Place,
        look: &mut Look,
        clock: &mut Clock,
    ) -> Option<(AgentState, Reason)> {
        let target = self.roll.target?;
        let runs = agent.and_then(|agent| agent.member.version);
        let arrived = runs.is_some_and(|runs| runs >= target);
        match past
            .newest
            .as_ref()
            .filter(|(attempt, _)| attempt.target == Some(target))
        {
            Some((attempt, Fare::Observed { at })) => {
                if let Some(told) = self.soak(id, attempt, *at, agent, place, look, clock) {
                    return Some(told);
                }
            }
            Some((_, Fare::Settled)) => return Some((AgentState::Succeeded, Reason::Settled)),
            _ => {}
        }
        let runs = runs.filter(|_| arrived)?;
        Some((AgentState::Current, Reason::Runs(runs)))
    }

    #[allow(clippy::too_many_arguments)]
    fn soak(
        &self,
        id: AgentId,
        attempt: &Attempt,
        observed: UnixTime,
        agent: Option<&Agent>,
        place: Place,
        look: &mut Look,
        clock: &mut Clock,
    ) -> Option<(AgentState, Reason)> {
        let now = self.ground.now();
        let runs = agent.and_then(|agent| agent.member.version);
        if attempt.soaked.is_some() {
            // What it runs after its soak is told by what is seen of it.
            let fell = runs.is_some_and(|runs| attempt.target.is_some_and(|target| runs < target));
            return (!fell).then_some((AgentState::Succeeded, Reason::Soaked));
        }
        let end = observed.saturating_add(self.roll.soak(place.wave()));
        if now < end {
            clock.at(end);
            return Some((AgentState::Soaking { until: end }, Reason::Soaking));
        }
        let seen = agent.is_some_and(|agent| {
            agent.member.connected() || agent.last_seen.is_some_and(|seen| seen >= end)
        });
        if seen {
            look.soaked = Some(attempt.id);
            return Some((AgentState::Succeeded, Reason::Soaked));
        }
        let settled = settlement(self.roll.document, id);
        match settled.filter(|settled| settled.attempt == attempt.id) {
            Some(settled) if settled.succeeded => {
                return Some((AgentState::Succeeded, Reason::Settled));
            }
            Some(_) => return Some(self.lost(look, Cause::Settled)),
            None => {}
        }
        let patience = self.roll.document.definition.unknown_after(place.wave());
        let until = end.saturating_add(patience);
        if now < until {
            clock.at(until);
            return Some((AgentState::Unknown { until }, Reason::NotSeenSince));
        }
        Some(self.lost(look, Cause::Lost(patience)))
    }

    /// It was upgraded and did not come back.
    fn lost(&self, look: &mut Look, cause: Cause) -> (AgentState, Reason) {
        look.failed = true;
        (AgentState::Failed { tries_left: 0 }, Reason::Failed(cause))
    }
}
