//! What is true at every step, judged without the planner: from the store, the clock and
//! the definition alone.

use std::collections::{BTreeMap, BTreeSet};

use wpk_api::{AgentId, TaskId};
use wpk_rollout::{
    Action, AgentState, Attempt, Document, Inputs, Outcome, Phase, Plan, Reason, plan,
};

use crate::world::World;

#[derive(Debug, Default)]
pub struct Watch {
    /// Members of each wave when it opened.
    waves: BTreeMap<(String, usize), Vec<AgentId>>,
    forgiven: BTreeMap<AgentId, TaskId>,
}

type Checked = Result<(), String>;

fn demand(true_it_is: bool, what: impl FnOnce() -> String) -> Checked {
    if true_it_is { Ok(()) } else { Err(what()) }
}

/// Whether an attempt may be, or was, begun and has no known end.
fn in_flight(world: &World, attempt: &Attempt) -> bool {
    let document = document_of(world, attempt);
    match attempt.begun {
        None => {
            let open = attempt.end.is_none();
            let permit = attempt.permit.zip(document);
            open && permit.is_some_and(|(permit, document)| permit.epoch == document.facts.epoch)
        }
        Some(begun) => {
            let seen = attempt.observed.is_some();
            let silent = document.map_or(86_400, |document| patience(document, attempt.agent));
            let failed = matches!(
                attempt.end,
                Some((_, Outcome::Failed(_) | Outcome::Unconfirmed(_)))
            );
            let settled = document
                .and_then(|document| document.facts.settled.get(&attempt.agent))
                .is_some_and(|settled| settled.attempt >= attempt.id);
            !seen && !failed && !settled && world.now < begun + silent && !arrived(world, attempt)
        }
    }
}

fn arrived(world: &World, attempt: &Attempt) -> bool {
    let known = world.agents.get(&attempt.agent);
    let runs = known.and_then(|agent| agent.member.version);
    runs.zip(attempt.target)
        .is_some_and(|(runs, target)| runs >= target)
}

fn document_of<'a>(world: &'a World, attempt: &Attempt) -> Option<&'a Document> {
    let key = attempt.rollout.as_ref()?;
    world.desired.rollouts.iter().find(|one| one.key == *key)
}

fn wave_of(document: &Document, agent: AgentId) -> Option<usize> {
    let opened = document
        .facts
        .waves
        .iter()
        .position(|wave| wave.members.contains(&agent));
    let last = document.definition.waves.len() - 1;
    opened.or(document.facts.joined.contains(&agent).then_some(last))
}

fn patience(document: &Document, agent: AgentId) -> i64 {
    let wave = wave_of(document, agent).map(|wave| &document.definition.waves[wave]);
    let of_wave = wave.and_then(|wave| wave.unknown_after);
    of_wave
        .unwrap_or(document.definition.unknown_after)
        .0
        .as_secs() as i64
}

impl Watch {
    pub fn forgive(&mut self, agent: AgentId, last: TaskId) {
        self.forgiven.insert(agent, last);
    }

    /// Makes a plan and judges it.
    pub fn plan(&self, world: &World) -> Result<Plan, String> {
        let made = world.plan();
        self.one_state_each(world, &made)?;
        self.order_means_nothing(world, &made)?;
        self.until_next(world, &made)?;
        for action in &made.actions {
            match action {
                Action::Pass { rollout, wave, .. } => self.passes(world, rollout, *wave)?,
                Action::Begin {
                    agent,
                    attempt,
                    target,
                    ..
                } => {
                    self.target(world, *agent, *target)?;
                    let known =
                        attempt.and_then(|task| world.attempts.iter().find(|a| a.id == task));
                    demand(
                        known.is_none_or(|one| one.begun.is_none() && one.end.is_none()),
                        || format!("it gives leave to an attempt that was begun: {action:?}"),
                    )?;
                }
                Action::Stage { agent, target, .. } => self.target(world, *agent, *target)?,
                _ => {}
            }
        }
        Ok(made)
    }

    // Invariant 15.
    fn one_state_each(&self, world: &World, made: &Plan) -> Checked {
        let told: Vec<AgentId> = made.agents.iter().map(|one| one.agent).collect();
        let known: Vec<AgentId> = world.agents.keys().copied().collect();
        demand(told == known, || {
            format!("verdicts of {told:?}, agents are {known:?}")
        })?;
        for verdict in &made.agents {
            let reason = verdict.reason.to_string();
            demand(!reason.is_empty(), || format!("no reason: {verdict:?}"))?;
            let agent = &world.agents[&verdict.agent];
            let (id, state) = (verdict.agent, verdict.state);
            let truth = match state {
                AgentState::Unreachable => !agent.member.connected(),
                AgentState::Running { hop, of } => hop >= 1 && hop <= of.max(hop),
                AgentState::Soaking { until } | AgentState::Unknown { until } => until > world.now,
                AgentState::Current => agent.member.version.is_some(),
                AgentState::Failed { .. } => !matches!(verdict.reason, Reason::MayBegin),
                _ => true,
            };
            demand(truth, || format!("{id} is not {state:?}: {reason}"))?;
        }
        Ok(())
    }

    // Invariant 8: neither the order of what is read nor a second plan changes anything.
    fn order_means_nothing(&self, world: &World, made: &Plan) -> Checked {
        let mut agents: Vec<_> = world.agents.values().cloned().collect();
        agents.reverse();
        let mut attempts = world.attempts.clone();
        let middle = attempts.len() / 3;
        attempts.rotate_left(middle);
        attempts.extend(world.attempts.iter().take(2).cloned());
        let again = plan(&Inputs {
            desired: &world.desired,
            agents: &agents,
            attempts: &attempts,
            holds: &world.holds,
            now: world.now,
        });
        demand(again == *made, || {
            format!(
                "in another order: {:#?}\nand {:#?}",
                made.actions, again.actions
            )
        })
    }

    /// Until the moment that a plan names, time alone changes no action.
    fn until_next(&self, world: &World, made: &Plan) -> Checked {
        let before = made.next.unwrap_or(world.now + 1_000_000) - 1;
        if before <= world.now {
            return Ok(());
        }
        let mut later = world.clone();
        later.now = before;
        let strip = |made: &Plan| -> Vec<Action> {
            let mut actions = made.actions.clone();
            for action in &mut actions {
                match action {
                    Action::Observe { at, .. } | Action::Soaked { at, .. } => *at = 0,
                    _ => {}
                }
            }
            actions
        };
        let (now, then) = (strip(made), strip(&later.plan()));
        demand(now == then, || {
            let state = |made: &Plan| format!("{:?}", made.agents);
            let (a, b) = (state(made), state(&later.plan()));
            format!("at {}: {now:?}\nat {before}: {then:?}\n{a}\n{b}", world.now)
        })
    }

    // Invariant 11.
    fn target(&self, world: &World, agent: AgentId, target: wpk_api::Version) -> Checked {
        let runs = world.agents[&agent].member.version;
        let older = runs.is_none_or(|runs| target <= runs);
        let denied = world.desired.releases.is_denied(target);
        demand(!older && !denied, || {
            format!("{agent} runs {runs:?} and is sent {target}")
        })?;
        demand(!world.holds.contains_key(&agent), || {
            format!("{agent} is held")
        })
    }

    // Invariants 2 and 7.
    fn passes(&self, world: &World, key: &wpk_rollout::RolloutKey, wave: usize) -> Checked {
        let document = world
            .desired
            .rollouts
            .iter()
            .find(|one| one.key == *key)
            .unwrap();
        let gate = &document.definition.waves[wave];
        let joined = &document.facts.joined;
        let is_last = wave + 1 == document.definition.waves.len();
        let members = document.facts.waves[wave].members.iter();
        let members: Vec<AgentId> = members
            .chain(joined.iter().filter(|_| is_last))
            .copied()
            .collect();
        let (mut broken, mut begun) = (0, 0);
        for agent in &members {
            if document.facts.skipped.contains(agent) {
                continue;
            }
            let forgiven = document
                .facts
                .forgiven
                .get(agent)
                .copied()
                .unwrap_or(TaskId(0));
            let mine = world
                .attempts
                .iter()
                .filter(|one| one.agent == *agent && one.rollout.as_ref() == Some(key));
            let mine: Vec<&Attempt> = mine.collect();
            for attempt in &mine {
                demand(!in_flight(world, attempt), || {
                    format!("wave {wave} passes, and {agent} is in flight: {attempt:?}")
                })?;
            }
            begun += usize::from(mine.iter().any(|one| one.begun.is_some()));
            broken += usize::from(mine.iter().any(|one| {
                let failed = matches!(one.end, Some((_, Outcome::Failed(_))));
                failed && one.begun.is_some() && one.id > forgiven
            }));
            let last = mine
                .iter()
                .rfind(|one| !matches!(one.end, Some((_, Outcome::Cancelled))));
            let Some(last) = last.filter(|one| one.target == document.definition.target) else {
                continue;
            };
            if let Some(observed) = last.observed
                && last.soaked.is_none()
                && !matches!(last.end, Some((_, Outcome::Failed(_))))
            {
                let soak = gate.soak.0.as_secs() as i64;
                demand(world.now >= observed + soak, || {
                    format!("wave {wave} passes, and {agent} soaks since {observed}")
                })?;
            }
            demand(
                last.observed.is_some() || last.begun.is_none() || !in_flight(world, last),
                || format!("wave {wave} passes, and {agent} was not seen: {last:?}"),
            )?;
        }
        let most = gate.max_failures.of(members.len());
        demand(broken <= most, || {
            format!("wave {wave} passes with {broken} failed of {most}")
        })?;
        let nobody = members.iter().all(|agent| {
            let known = world.agents.get(agent);
            let runs = known.and_then(|agent| agent.member.version);
            document.facts.skipped.contains(agent)
                || known.is_some_and(|agent| agent.unsupported.is_some())
                || runs >= document.definition.target
                || self.is_spent(world, document, *agent)
        });
        demand(begun > 0 || nobody, || {
            format!("wave {wave} passes, and nobody was begun")
        })
    }

    /// It belongs to another rollout, or cannot be tried any more, or there is no way.
    fn is_spent(&self, world: &World, document: &Document, agent: AgentId) -> bool {
        let made = world.plan();
        let verdict = made.agents.iter().find(|one| one.agent == agent).unwrap();
        verdict.rollout.as_deref() != Some(&document.key)
            || matches!(
                verdict.state,
                AgentState::Failed { tries_left: 0 } | AgentState::Unsupported
            )
    }

    /// After an action was carried out.
    pub fn acted(&mut self, world: &World, action: &Action, before: usize) -> Checked {
        let created = world.attempts.len() > before;
        match action {
            Action::Open { rollout, wave, .. } => {
                let document = world
                    .desired
                    .rollouts
                    .iter()
                    .find(|one| one.key == *rollout);
                if let Some(open) = document.and_then(|one| one.facts.waves.get(*wave)) {
                    let key = (rollout.to_string(), *wave);
                    self.waves
                        .entry(key)
                        .or_insert_with(|| open.members.clone());
                }
                Ok(())
            }
            Action::Begin {
                agent,
                attempt,
                permit,
                rollout,
                ..
            } if (created || attempt.is_some())
                && world.epochs().get(rollout) == Some(&permit.epoch) =>
            {
                self.caps(world, *agent)
            }
            _ => Ok(()),
        }
    }

    // Invariant 1: an installer that may begin has its place in every cap.
    fn caps(&self, world: &World, agent: AgentId) -> Checked {
        let flying: Vec<&Attempt> = world
            .attempts
            .iter()
            .filter(|one| in_flight(world, one))
            .collect();
        let sites = &world.desired.sites;
        if let Some(cap) = sites.max_concurrent {
            demand(flying.len() <= cap as usize, || {
                format!("{} in flight of {cap}", flying.len())
            })?;
        }
        let site_of = |id: AgentId| world.agents.get(&id).map(|agent| sites.find(&agent.member));
        let site = site_of(agent).unwrap();
        if let Some(cap) = sites.sites[site].max_concurrent {
            let all = world
                .agents
                .keys()
                .filter(|id| site_of(**id) == Some(site))
                .count();
            let here = flying
                .iter()
                .filter(|one| site_of(one.agent) == Some(site))
                .count();
            let cap = cap.of(all).max(1);
            demand(here <= cap, || {
                format!("{here} in flight at site {site} of {cap}")
            })?;
        }
        for document in &world.desired.rollouts {
            let mine = || {
                flying
                    .iter()
                    .filter(|one| one.rollout.as_ref() == Some(&document.key))
            };
            let facts = &document.facts;
            let all = facts.population.as_ref().map_or(0, Vec::len) + facts.joined.len();
            if let Some(cap) = document.definition.max_concurrent {
                let cap = cap.of(all).max(1);
                demand(mine().count() <= cap, || {
                    format!("{} of {cap}", mine().count())
                })?;
            }
            for (number, wave) in document.definition.waves.iter().enumerate() {
                let Some(cap) = wave.max_concurrent else {
                    continue;
                };
                let here = mine()
                    .filter(|one| wave_of(document, one.agent) == Some(number))
                    .count();
                let members = document
                    .facts
                    .waves
                    .get(number)
                    .map_or(0, |open| open.members.len());
                let cap = cap.of(members).max(1);
                demand(here <= cap, || {
                    format!("wave {number}: {here} of {cap} in flight")
                })?;
            }
        }
        Ok(())
    }

    /// An installer was begun just now.
    pub fn begun(&self, world: &World, attempt: &Attempt) -> Checked {
        demand(attempt.begun.is_none(), || {
            format!("begun twice: {attempt:?}")
        })?;
        let Some(document) = document_of(world, attempt) else {
            return Ok(());
        };
        // Invariant 4: nothing begins while its rollout is stopped or its release denied.
        let target = attempt.target.unwrap();
        let denied = world.desired.releases.is_denied(target);
        demand(document.facts.phase == Phase::Running && !denied, || {
            format!("begun in {:?}, denied: {denied}", document.facts.phase)
        })?;
        // Invariant 10.
        let agent = &world.agents[&attempt.agent];
        let sites = &world.desired.sites;
        let site = &sites.sites[sites.find(&agent.member)];
        demand(site.opening(world.now).is_open(), || {
            format!("begun at {}, closed", world.now)
        })?;
        // Invariant 5: no other attempt of this agent is out.
        let others = world.attempts.iter().filter(|one| {
            one.agent == attempt.agent && one.id != attempt.id && one.begun.is_some()
        });
        let out = others.clone().find(|one| in_flight(world, one));
        demand(out.is_none(), || {
            format!("{} is begun beside {out:?}", attempt.agent)
        })?;
        // Invariant 12.
        let forgiven = self
            .forgiven
            .get(&attempt.agent)
            .copied()
            .unwrap_or(TaskId(0));
        let tries = others
            .filter(|one| one.rollout.is_some() && one.target == Some(target) && one.id > forgiven);
        let (tries, most) = (tries.count() + 1, document.definition.retries as usize + 1);
        demand(tries <= most, || {
            format!("{} is tried {tries} times of {most}", attempt.agent)
        })
    }

    /// What is stored.
    pub fn look(&self, world: &World) -> Checked {
        // Invariant 9.
        for ((key, wave), members) in &self.waves {
            let document = world
                .desired
                .rollouts
                .iter()
                .find(|one| one.key.to_string() == *key);
            let now = document.and_then(|one| one.facts.waves.get(*wave));
            demand(now.is_some_and(|open| open.members == *members), || {
                format!("wave {wave} of {key} was {members:?} and is {now:?}")
            })?;
        }
        for document in &world.desired.rollouts {
            let mut seen = BTreeSet::new();
            let members = document.facts.waves.iter().flat_map(|wave| &wave.members);
            for agent in members.chain(&document.facts.joined) {
                demand(seen.insert(*agent), || format!("{agent} is in two waves"))?;
            }
            let mut passed = true;
            for wave in &document.facts.waves {
                demand(passed, || {
                    "a wave is open before the one before it passed".to_owned()
                })?;
                passed = wave.passed.is_some();
            }
        }
        Ok(())
    }

    // Invariant 3: of agents that nobody forgave, so many are broken: the installer was
    // begun, and it is not seen to have worked.
    pub fn strict(&self, world: &World) -> Checked {
        for document in &world.desired.rollouts {
            for (number, wave) in document.definition.waves.iter().enumerate() {
                let Some(open) = document.facts.waves.get(number).filter(|_| wave.strict) else {
                    continue;
                };
                let most = wave.max_failures.of(open.members.len());
                // What was seen to run the target and fails later is outside the bound.
                let broken = open.members.iter().filter(|agent| {
                    world.attempts.iter().any(|one| {
                        let mine =
                            one.agent == **agent && one.rollout.as_ref() == Some(&document.key);
                        mine && one.begun.is_some()
                            && one.observed.is_none()
                            && !arrived(world, one)
                    })
                });
                let broken = broken.count();
                demand(broken <= most + 1, || {
                    format!("{broken} are broken in strict wave {number}, {most} may fail")
                })?;
            }
        }
        Ok(())
    }
}
