//! Who begins now: agents in the order of rollouts, waves and members, as far as windows,
//! caps and the bound of strict waves let them.

use wpk_api::{AgentId, TaskId, UnixTime, Version};

use super::action::Action;
use super::flights::Flights;
use super::gate::Tally;
use super::ground::{Ground, cap_of};
use super::roll::Roll;
use super::state::{AgentState, Reason};
use crate::attempt::Permit;
use crate::window::Opening;

/// A member that nothing but windows and caps keeps from going on.
pub(crate) struct Ready {
    pub(crate) agent: AgentId,
    /// The agent's number.
    pub(crate) number: usize,
    pub(crate) hop: Version,
    pub(crate) queued: Option<TaskId>,
    pub(crate) staged: bool,
    /// Where its verdict stands, if this rollout gives it.
    pub(crate) verdict: Option<usize>,
}

/// What a grant came to.
pub(crate) struct Granted {
    pub(crate) action: Option<Action>,
    pub(crate) state: AgentState,
    pub(crate) reason: Reason,
}

/// Goes through the ready members of one wave. Those whose file is sent already come
/// first.
pub(crate) fn grant(
    ground: &Ground<'_>,
    flights: &mut Flights,
    roll: &Roll<'_>,
    at: usize,
    wave: usize,
    tally: &Tally,
    mut ready: Vec<Ready>,
) -> Vec<(Ready, Granted)> {
    let definition = &roll.document.definition;
    let Some(of_wave) = definition.waves.get(wave) else {
        return Vec::new();
    };
    ready.sort_by_key(|one| !one.staged);
    let population = roll.document.facts.population.as_ref().map_or(0, Vec::len);
    let everybody = population + roll.document.facts.joined.len();
    let total = ground
        .inputs
        .desired
        .sites
        .max_concurrent
        .map(|cap| cap as usize);
    let mut room = Room {
        wave_flights: tally.counts.running + tally.counts.unknown,
        wave_cap: of_wave.max_concurrent.map(|cap| cap_of(cap, tally.members)),
        rollout_cap: definition.max_concurrent.map(|cap| cap_of(cap, everybody)),
        total,
        strict: of_wave.strict.then(|| tally.strict_room(of_wave)),
    };
    let mut granted = Vec::with_capacity(ready.len());
    for one in ready {
        let outcome = room.admit(ground, flights, roll, at, &one);
        granted.push((one, outcome));
    }
    granted
}

struct Room {
    wave_flights: usize,
    wave_cap: Option<usize>,
    rollout_cap: Option<usize>,
    total: Option<usize>,
    strict: Option<usize>,
}

impl Room {
    fn admit(
        &mut self,
        ground: &Ground<'_>,
        flights: &mut Flights,
        roll: &Roll<'_>,
        at: usize,
        one: &Ready,
    ) -> Granted {
        let site = ground.site_of.get(one.number).copied().unwrap_or(0) as usize;
        let opening = ground.openings.get(site).copied();
        let until = match opening.unwrap_or(Opening::Closed(None)) {
            Opening::Closed(opens) => return self.stage(ground, flights, roll, site, opens, one),
            Opening::Open(until) => until,
        };
        if let Some(reason) = self.full(ground, flights, at, site, one) {
            return wait(reason, None);
        }
        let agent = ground.agent(Some(one.number));
        if let Some(trouble) =
            agent.and_then(|agent| flights.sources.of_mut(one.hop, &agent.member))
        {
            if trouble.trying > 0 {
                return wait(Reason::NoFile(None, trouble.cause.clone()), None);
            }
            trouble.trying += 1;
        }
        flights.take_off(Some(at), Some(site));
        self.wave_flights += 1;
        if one.queued.is_none() {
            self.strict = self.strict.map(|room| room.saturating_sub(1));
        }
        let permit = Permit {
            epoch: roll.document.facts.epoch,
            until,
        };
        let action = Action::Begin {
            rollout: roll.document.key.clone(),
            agent: one.agent,
            attempt: one.queued,
            target: one.hop,
            permit,
        };
        wait(Reason::MayBegin, Some(action))
    }

    /// The window is closed: the file may be sent ahead, under the caps.
    fn stage(
        &mut self,
        ground: &Ground<'_>,
        flights: &mut Flights,
        roll: &Roll<'_>,
        site: usize,
        opens: Option<UnixTime>,
        one: &Ready,
    ) -> Granted {
        let name = ground
            .inputs
            .desired
            .sites
            .sites
            .get(site)
            .map(|site| site.name.clone());
        let reason = name.map_or(Reason::Halted, |name| Reason::Window(name, opens));
        let full = |cap: Option<usize>, sending: usize| cap.is_some_and(|cap| sending >= cap);
        let to_site = flights.sending_to.get(site).copied().unwrap_or(0);
        let caps = [self.wave_cap, self.rollout_cap, self.total];
        let full = full(ground.site_caps.get(site).copied().flatten(), to_site)
            || caps.into_iter().any(|cap| full(cap, flights.sending))
            || self.strict == Some(0);
        if one.queued.is_some() || opens.is_none() || full {
            return wait(reason, None);
        }
        flights.send(Some(site));
        self.strict = self.strict.map(|room| room.saturating_sub(1));
        let (rollout, agent, target) = (roll.document.key.clone(), one.agent, one.hop);
        wait(
            reason,
            Some(Action::Stage {
                rollout,
                agent,
                target,
            }),
        )
    }

    fn full(
        &self,
        ground: &Ground<'_>,
        flights: &Flights,
        at: usize,
        site: usize,
        one: &Ready,
    ) -> Option<Reason> {
        let of_rollout = flights.documents.get(at).copied().unwrap_or(0);
        let site_cap = ground.site_caps.get(site).copied().flatten();
        let of_site = flights.sites.get(site).copied().unwrap_or(0);
        let sites = &ground.inputs.desired.sites.sites;
        if let Some(cap) = site_cap.filter(|cap| of_site >= *cap) {
            let name = sites.get(site)?.name.clone();
            return Some(Reason::SiteCap(name, cap));
        }
        let caps = [
            (self.total, flights.all, "whole"),
            (self.rollout_cap, of_rollout, "rollout"),
            (self.wave_cap, self.wave_flights, "wave"),
        ];
        for (cap, flights, whose) in caps {
            if let Some(cap) = cap.filter(|cap| flights >= *cap) {
                return Some(Reason::Cap(whose, cap));
            }
        }
        // One that is queued has its place already.
        (self.strict == Some(0) && one.queued.is_none()).then_some(Reason::Strict)
    }
}

const fn wait(reason: Reason, action: Option<Action>) -> Granted {
    Granted {
        action,
        state: AgentState::Waiting,
        reason,
    }
}
