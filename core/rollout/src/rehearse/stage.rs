//! The stage on which a rehearsal plays.

use std::collections::BTreeMap;

use wpk_api::{AgentId, ConnectionStatus, TaskId, UnixTime, Version};

use super::odds::Odds;
use super::played::{Event, Happened, Rehearsal, WaveBound};
use crate::Name;
use crate::apply::Desired;
use crate::attempt::{Attempt, Outcome, Permit};
use crate::facts::{Document, RolloutKey};
use crate::member::Agent;
use crate::plan::{Action, Inputs, Plan, RolloutState, RolloutStatus, plan};

/// The most that is told.
const MOST_EVENTS: usize = 1_000;
/// The most plans that are made.
const MOST_PLANS: usize = 20_000;
/// How far ahead is looked, in seconds: a year.
const HORIZON: i64 = 366 * 86_400;

/// Plays `inputs` to the end against a fleet that is made up by `odds`.
pub fn rehearse(inputs: &Inputs<'_>, odds: &Odds) -> Rehearsal {
    let mut stage = Stage::new(inputs, odds);
    let step = 15 + inputs.agents.len() as i64 / 200;
    let mut ended = None;
    for _ in 0..MOST_PLANS {
        stage.come_and_go();
        let made = stage.plan(inputs);
        stage.peaks();
        let acted = !made.actions.is_empty();
        stage.carry_out(&made);
        stage.begin();
        let open = |one: &RolloutStatus| matches!(one.state, RolloutState::Running);
        if !acted && !made.rollouts.iter().any(open) {
            let through = |one: &RolloutStatus| !matches!(one.state, RolloutState::Halted(_));
            ended = made.rollouts.iter().all(through).then_some(stage.now);
            break;
        }
        if acted && stage.instant(&made) {
            continue;
        }
        let Some(next) = stage.next(&made) else { break };
        stage.now = next.max(stage.now.saturating_add(step));
        if stage.now > inputs.now.saturating_add(HORIZON) {
            break;
        }
        stage.finish();
    }
    let rollouts = stage.plan(inputs).rollouts;
    let bounds = stage.bounds(&rollouts);
    Rehearsal {
        events: stage.events,
        ended,
        most_down: stage.most_down,
        peak: stage.peak,
        failed: stage.failed,
        bounds,
        rollouts,
    }
}

pub(super) struct Stage<'a> {
    odds: &'a Odds,
    desired: Desired,
    agents: Vec<Agent>,
    /// Agents that the real directory says are away stay away.
    away: Vec<bool>,
    attempts: Vec<Attempt>,
    by_task: BTreeMap<TaskId, usize>,
    by_agent: BTreeMap<AgentId, usize>,
    pub(super) now: UnixTime,
    next_task: i64,
    /// When a file arrives, and how fast it goes; when an installation ends.
    pub(super) sending: BTreeMap<TaskId, (UnixTime, u64, usize)>,
    installing: BTreeMap<TaskId, UnixTime>,
    events: Vec<Event>,
    most_down: usize,
    failed: usize,
    peak: BTreeMap<Name, u64>,
}

impl<'a> Stage<'a> {
    fn new(inputs: &Inputs<'_>, odds: &'a Odds) -> Self {
        let agents = inputs.agents.to_vec();
        let numbered = |one: (usize, &Agent)| (one.1.member.id, one.0);
        Self {
            odds,
            desired: inputs.desired.clone(),
            away: agents
                .iter()
                .map(|agent| !agent.member.connected())
                .collect(),
            by_agent: agents.iter().enumerate().map(numbered).collect(),
            agents,
            by_task: (inputs.attempts.iter().enumerate())
                .map(|(at, one)| (one.id, at))
                .collect(),
            attempts: inputs.attempts.to_vec(),
            now: inputs.now,
            next_task: inputs
                .attempts
                .iter()
                .map(|one| one.id.0 + 1)
                .max()
                .unwrap_or(1),
            sending: BTreeMap::new(),
            installing: BTreeMap::new(),
            events: Vec::new(),
            most_down: 0,
            failed: 0,
            peak: BTreeMap::new(),
        }
    }

    fn plan(&self, inputs: &Inputs<'_>) -> Plan {
        plan(&Inputs {
            desired: &self.desired,
            agents: &self.agents,
            attempts: &self.attempts,
            holds: inputs.holds,
            now: self.now,
        })
    }

    fn come_and_go(&mut self) {
        for (agent, away) in self.agents.iter_mut().zip(&self.away) {
            let online = !away && self.odds.is_online(agent.member.id.get(), self.now);
            agent.member.status = match online {
                true => ConnectionStatus::Active,
                false => ConnectionStatus::Disconnected,
            };
            if online {
                agent.last_seen = Some(self.now);
            }
        }
    }

    pub(super) fn document(&mut self, key: &RolloutKey) -> Option<&mut Document> {
        self.desired.rollouts.iter_mut().find(|one| one.key == *key)
    }

    pub(super) fn tell(&mut self, rollout: &RolloutKey, what: Happened) {
        if self.events.len() < MOST_EVENTS {
            let (at, rollout) = (self.now, rollout.clone());
            self.events.push(Event { at, rollout, what });
        }
    }

    pub(super) fn change(&mut self, task: TaskId, how: impl FnOnce(&mut Attempt)) {
        let known = self
            .by_task
            .get(&task)
            .and_then(|at| self.attempts.get_mut(*at));
        if let Some(known) = known {
            how(known);
        }
    }

    pub(super) fn create(
        &mut self,
        key: &RolloutKey,
        agent: AgentId,
        target: Version,
        permit: Option<Permit>,
    ) {
        let id = TaskId(self.next_task);
        self.next_task += 1;
        self.by_task.insert(id, self.attempts.len());
        self.attempts.push(Attempt {
            id,
            agent,
            rollout: Some(key.clone()),
            target: Some(target),
            permit,
            staged: false,
            begun: None,
            end: None,
            observed: None,
            soaked: None,
        });
        let known = self
            .by_agent
            .get(&agent)
            .and_then(|at| self.agents.get(*at));
        let site = known.map_or(0, |agent| self.desired.sites.find(&agent.member));
        let sharing = self.sending.values().filter(|(.., at)| *at == site).count() as u64 + 1;
        let bandwidth = self
            .desired
            .sites
            .sites
            .get(site)
            .and_then(|site| site.bandwidth);
        let (takes, rate) = self.odds.sending(bandwidth, sharing);
        self.sending
            .insert(id, (self.now.saturating_add(takes), rate, site));
    }

    /// Whether a plan at the same moment could do more: a fact was written down.
    fn instant(&self, made: &Plan) -> bool {
        made.actions
            .iter()
            .any(|action| !matches!(action, Action::Begin { .. } | Action::Stage { .. }))
    }

    /// Installers whose files are there and that may begin, begin.
    fn begin(&mut self) {
        let epochs: BTreeMap<RolloutKey, u64> = (self.desired.rollouts.iter())
            .map(|one| (one.key.clone(), one.facts.epoch))
            .collect();
        let takes = self.odds.installing();
        for one in &mut self.attempts {
            let epoch = one.rollout.as_ref().and_then(|key| epochs.get(key));
            let open = one.staged && one.begun.is_none() && one.end.is_none();
            let may =
                epoch.is_some_and(|epoch| Permit::check(one.permit, *epoch, self.now).is_ok());
            if open && may {
                one.begun = Some(self.now);
                self.installing
                    .insert(one.id, self.now.saturating_add(takes));
            }
        }
        self.most_down = self.most_down.max(self.installing.len());
    }

    fn peaks(&mut self) {
        let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
        for (_, rate, site) in self.sending.values() {
            *sums.entry(*site).or_default() += rate;
        }
        for (site, sum) in sums {
            let Some(site) = self.desired.sites.sites.get(site) else {
                continue;
            };
            let sum = site.bandwidth.map_or(sum, |cap| sum.min(cap.0));
            let peak = self.peak.entry(site.name.clone()).or_default();
            *peak = (*peak).max(sum);
        }
    }

    fn next(&self, made: &Plan) -> Option<UnixTime> {
        let sent = self.sending.values().map(|(at, ..)| *at);
        let all = sent
            .chain(self.installing.values().copied())
            .chain(made.next);
        // Somebody may come back.
        let back = (!self.odds.offline.is_zero()).then(|| self.now.saturating_add(3_600));
        all.chain(back).filter(|at| *at > self.now).min()
    }

    /// What is through by now.
    fn finish(&mut self) {
        let now = self.now;
        let sent: Vec<TaskId> = (self.sending.iter())
            .filter(|(_, (at, ..))| *at <= now)
            .map(|(task, _)| *task)
            .collect();
        for task in sent {
            self.sending.remove(&task);
            self.change(task, |one| one.staged = true);
        }
        self.begin();
        let through: Vec<TaskId> = self
            .installing
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(task, _)| *task)
            .collect();
        for task in through {
            self.installing.remove(&task);
            let fails = self.odds.fails(task.0);
            self.failed += usize::from(fails);
            let mut arrived = None;
            self.change(task, |one| {
                let outcome = match fails {
                    true => Outcome::Failed("rehearsed".into()),
                    false => Outcome::Succeeded,
                };
                one.end = Some((now, outcome));
                arrived = one
                    .target
                    .filter(|_| !fails)
                    .map(|target| (one.agent, target));
            });
            if let Some((agent, target)) = arrived
                && let Some(agent) = self
                    .by_agent
                    .get(&agent)
                    .and_then(|at| self.agents.get_mut(*at))
            {
                agent.member.version = Some(target);
            }
        }
    }

    fn bounds(&self, rollouts: &[RolloutStatus]) -> Vec<WaveBound> {
        let waves = self.desired.rollouts.iter().flat_map(|document| {
            let status = rollouts.iter().find(|one| one.key == document.key);
            let waves = document.definition.waves.iter();
            waves
                .zip(status.into_iter().flat_map(|one| &one.waves))
                .map(|(wave, status)| {
                    let more = if wave.strict {
                        1
                    } else {
                        self.most_down.max(1)
                    };
                    WaveBound {
                        rollout: document.key.clone(),
                        wave: wave.name.clone(),
                        most: (status.may_fail + more).min(status.tally.members),
                    }
                })
        });
        waves.collect()
    }
}
