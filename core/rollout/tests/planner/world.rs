//! A simulated fleet, its manager's store, and an engine that carries plans out. The
//! engine remembers nothing; what happens to whom is told by the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use wpk_api::{AgentId, ConnectionStatus, TaskId, Version};
use wpk_rollout::{
    Action, Agent, Attempt, Definition, Desired, Document, Inputs, Member, Outcome, Permit, Plan,
    RolloutKey, plan,
};

/// Somebody's computer.
#[derive(Debug, Clone)]
pub struct Host {
    pub runs: Version,
    pub online: bool,
    pub last_seen: i64,
}

#[derive(Debug, Clone)]
pub struct World {
    pub now: i64,
    pub desired: Desired,
    pub hosts: BTreeMap<AgentId, Host>,
    /// What the directory says; it may be late.
    pub agents: BTreeMap<AgentId, Agent>,
    pub attempts: Vec<Attempt>,
    pub holds: BTreeMap<AgentId, Arc<str>>,
    /// Whose lease it is; an action of another planner is refused.
    pub fence: u64,
}

pub fn id(number: usize) -> AgentId {
    AgentId::new(number as i64).unwrap()
}

pub fn v(text: &str) -> Version {
    text.parse().unwrap()
}

pub const START: i64 = 1_796_000_000;

impl World {
    /// Agents 1 to `agents` at v4.14.0, all connected, every third on Windows.
    pub fn new(agents: usize) -> Self {
        let mut world = Self {
            now: START,
            desired: Desired::default(),
            hosts: BTreeMap::new(),
            agents: BTreeMap::new(),
            attempts: Vec::new(),
            holds: BTreeMap::new(),
            fence: 1,
        };
        for number in 1..=agents {
            world.enroll(number, "v4.14.0");
        }
        world
    }

    pub fn enroll(&mut self, number: usize, version: &str) {
        let mut member = Member::new(id(number));
        member.platform = Some(
            if number.is_multiple_of(3) {
                "windows"
            } else {
                "ubuntu"
            }
            .to_owned(),
        );
        member.groups = vec!["prod".to_owned()];
        let site = if number.is_multiple_of(2) {
            "lyon"
        } else {
            "oslo"
        };
        member.labels = [("site".to_owned(), site.to_owned())].into();
        let host = Host {
            runs: v(version),
            online: true,
            last_seen: self.now,
        };
        self.hosts.insert(id(number), host);
        self.agents.insert(id(number), Agent::new(member));
        self.look(id(number));
    }

    /// The directory takes over how an agent is.
    pub fn look(&mut self, agent: AgentId) {
        let now = self.now;
        let (Some(host), Some(known)) = (self.hosts.get_mut(&agent), self.agents.get_mut(&agent))
        else {
            return;
        };
        if host.online {
            host.last_seen = now;
            known.member.version = Some(host.runs);
            known.member.status = ConnectionStatus::Active;
        } else {
            known.member.status = ConnectionStatus::Disconnected;
        }
        known.last_seen = Some(host.last_seen);
    }

    pub fn look_at_all(&mut self) {
        let all: Vec<_> = self.hosts.keys().copied().collect();
        all.into_iter().for_each(|agent| self.look(agent));
    }

    pub fn apply(&mut self, definition: &str) {
        let definition = Definition::from_toml(definition).unwrap_or_else(|e| panic!("{e:#?}"));
        let planned = self.desired.digest(&definition);
        self.desired = self.desired.apply(&definition, planned, self.now).unwrap();
    }

    pub fn plan(&self) -> Plan {
        let agents: Vec<Agent> = self.agents.values().cloned().collect();
        plan(&Inputs {
            desired: &self.desired,
            agents: &agents,
            attempts: &self.attempts,
            holds: &self.holds,
            now: self.now,
        })
    }

    pub fn document(&mut self, key: &RolloutKey) -> Option<&mut Document> {
        self.desired.rollouts.iter_mut().find(|one| one.key == *key)
    }

    /// The newest rollout of a name.
    pub fn named(&mut self, name: &str) -> &mut Document {
        let named = self
            .desired
            .rollouts
            .iter_mut()
            .filter(|one| &*one.key.name == name);
        named.max_by_key(|one| one.key.generation).unwrap()
    }

    pub fn attempt(&mut self, task: TaskId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|one| one.id == task)
    }

    pub fn epoch(&self, key: &RolloutKey) -> Option<u64> {
        let document = self.desired.rollouts.iter().find(|one| one.key == *key);
        document.map(|one| one.facts.epoch)
    }

    /// Carries one action out, as a store does: what does not fit any more is dropped.
    /// `epochs` are those that the plan was made from.
    pub fn carry_out(&mut self, action: &Action, fence: u64, epochs: &BTreeMap<RolloutKey, u64>) {
        if fence != self.fence {
            return;
        }
        let now = self.now;
        let current = |world: &Self, key: &RolloutKey| {
            epochs
                .get(key)
                .is_some_and(|epoch| world.epoch(key) == Some(*epoch))
        };
        match action {
            Action::Open {
                rollout,
                wave,
                members,
                population,
            } if current(self, rollout) => {
                let facts = &mut self.document(rollout).unwrap().facts;
                if facts.waves.len() == *wave {
                    facts.waves.push(wpk_rollout::OpenedWave {
                        opened: now,
                        members: members.clone(),
                        passed: None,
                    });
                    if population.is_some() {
                        facts.population = population.clone();
                    }
                }
            }
            Action::Pass { rollout, wave, .. } if current(self, rollout) => {
                let facts = &mut self.document(rollout).unwrap().facts;
                facts.waves[*wave].passed.get_or_insert(now);
            }
            Action::Join { rollout, agents } if current(self, rollout) => {
                let facts = &mut self.document(rollout).unwrap().facts;
                let new = agents.iter().filter(|agent| !facts.joined.contains(agent));
                let new: Vec<_> = new.copied().collect();
                facts.joined.extend(new);
            }
            Action::Halt { rollout, reason } if current(self, rollout) => {
                let _ = self.document(rollout).unwrap().halt(reason);
            }
            Action::Observe { attempt, at } => {
                if let Some(attempt) = self.attempt(*attempt) {
                    attempt.observed.get_or_insert(*at);
                }
            }
            Action::Soaked { attempt, at } => {
                if let Some(attempt) = self.attempt(*attempt) {
                    attempt.soaked.get_or_insert(*at);
                }
            }
            Action::Withdraw { attempt } => {
                let attempt = self.attempt(*attempt).filter(|one| one.begun.is_none());
                if let Some(attempt) = attempt {
                    attempt.permit = None;
                }
            }
            Action::Cancel { attempt, .. } => {
                let open = |one: &&mut Attempt| one.begun.is_none() && one.end.is_none();
                if let Some(attempt) = self.attempt(*attempt).filter(open) {
                    attempt.end = Some((now, Outcome::Cancelled));
                }
            }
            Action::Stage {
                rollout,
                agent,
                target,
            } => {
                self.create(rollout, *agent, *target, None);
            }
            Action::Begin {
                rollout,
                agent,
                attempt,
                target,
                permit,
            } => match attempt {
                None => self.create(rollout, *agent, *target, Some(*permit)),
                Some(task) => {
                    let open = |one: &&mut Attempt| one.begun.is_none() && one.end.is_none();
                    if let Some(attempt) = self.attempt(*task).filter(open) {
                        attempt.permit = Some(*permit);
                    }
                }
            },
            // The rollout was stopped or changed since.
            _ => {}
        }
    }

    fn create(
        &mut self,
        key: &RolloutKey,
        agent: AgentId,
        target: Version,
        permit: Option<Permit>,
    ) {
        // One live task of an agent, by a constraint of the store.
        let live = self
            .attempts
            .iter()
            .any(|one| one.agent == agent && one.end.is_none());
        if !live {
            let attempt = self.new_attempt(Some(key.clone()), agent, target, permit);
            self.attempts.push(attempt);
        }
    }

    pub fn new_attempt(
        &self,
        rollout: Option<RolloutKey>,
        agent: AgentId,
        target: Version,
        permit: Option<Permit>,
    ) -> Attempt {
        Attempt {
            id: TaskId(self.attempts.len() as i64 + 1),
            agent,
            rollout,
            target: Some(target),
            permit,
            staged: false,
            begun: None,
            end: None,
            observed: None,
            soaked: None,
        }
    }

    pub fn epochs(&self) -> BTreeMap<RolloutKey, u64> {
        let all = self.desired.rollouts.iter();
        all.map(|one| (one.key.clone(), one.facts.epoch)).collect()
    }

    /// Plans and carries out until nothing is left to do at this moment.
    pub fn settle(&mut self) -> Plan {
        for _ in 0..40 {
            let made = self.plan();
            if made.actions.is_empty() {
                return made;
            }
            let epochs = self.epochs();
            for action in &made.actions {
                self.carry_out(action, self.fence, &epochs);
            }
        }
        panic!("it does not come to rest: {:#?}", self.plan().actions);
    }

    /// The store writes down that an installer is begun, or refuses.
    pub fn begin(&mut self, task: TaskId) -> bool {
        let now = self.now;
        let Some(attempt) = self.attempts.iter().find(|one| one.id == task) else {
            return false;
        };
        let agent = attempt.agent;
        let epoch = attempt.rollout.as_ref().and_then(|key| self.epoch(key));
        let leave = match (&attempt.rollout, epoch) {
            (Some(_), Some(epoch)) => Permit::check(attempt.permit, epoch, now).is_ok(),
            (None, _) => true,
            _ => false,
        };
        let online = self.hosts.get(&agent).is_some_and(|host| host.online);
        if attempt.begun.is_some() || attempt.end.is_some() || !leave || !online {
            return false;
        }
        self.attempt(task).unwrap().begun = Some(now);
        true
    }

    /// Somebody's word about an attempt reaches the store, perhaps late or twice.
    pub fn report(&mut self, task: TaskId, outcome: Outcome) {
        let now = self.now;
        let Some(attempt) = self.attempt(task).filter(|one| one.begun.is_some()) else {
            return;
        };
        match attempt.end {
            None | Some((_, Outcome::Silent)) => attempt.end = Some((now, outcome)),
            Some((_, Outcome::Succeeded)) if matches!(outcome, Outcome::Unconfirmed(_)) => {
                attempt.end = Some((now, outcome));
            }
            _ => {}
        }
    }

    /// The file of an attempt that is not begun cannot be had.
    pub fn no_file(&mut self, task: TaskId) {
        let (now, words) = (self.now, "The repository is not reachable");
        let open = |one: &&mut Attempt| one.begun.is_none() && one.end.is_none();
        if let Some(attempt) = self.attempt(task).filter(open) {
            attempt.end = Some((now, Outcome::NoFile(words.into())));
        }
    }

    /// Attempts whose installers may begin.
    pub fn permitted(&self) -> Vec<TaskId> {
        let open = self
            .attempts
            .iter()
            .filter(|one| one.begun.is_none() && one.end.is_none());
        open.map(|one| one.id).collect()
    }

    /// Attempts that were begun and of which no word came.
    pub fn awaited(&self) -> Vec<TaskId> {
        let begun = self
            .attempts
            .iter()
            .filter(|one| one.begun.is_some() && one.end.is_none());
        begun.map(|one| one.id).collect()
    }

    /// The installer of a begun attempt does its work and the agent says so.
    pub fn succeed(&mut self, task: TaskId) {
        let attempt = self.attempt(task).unwrap();
        let (agent, target) = (attempt.agent, attempt.target.unwrap());
        let host = self.hosts.get_mut(&agent).unwrap();
        host.runs = host.runs.max(target);
        host.online = true;
        self.report(task, Outcome::Succeeded);
        self.look(agent);
    }

    pub fn fail(&mut self, task: TaskId) {
        self.report(task, Outcome::Failed("exit code 1".into()));
    }

    /// Begins everything that may begin; who it was.
    pub fn begin_all(&mut self) -> Vec<TaskId> {
        let tasks = self.permitted();
        tasks.into_iter().filter(|task| self.begin(*task)).collect()
    }

    /// The state of an agent in the words of the plan.
    pub fn state(&self, number: usize) -> (String, String) {
        let made = self.plan();
        let verdict = made
            .agents
            .iter()
            .find(|one| one.agent == id(number))
            .unwrap();
        (
            verdict.state.as_str().to_owned(),
            verdict.reason.to_string(),
        )
    }
}
