//! A fleet, a definition, and a long row of events in any order: agents go and come, lie,
//! fail and fall silent; reports come late, twice and out of order; operators pause, halt,
//! deny, skip, retry, settle, hold and cancel; the engine crashes between any two of its
//! actions, works on an old plan, and is replaced by another one. [`watch`](crate::watch)
//! looks at every step.

use proptest::prelude::*;
use wpk_api::{AgentId, Digests, TaskId, Version};
use wpk_rollout::{Outcome, Plan, Release, RolloutKey, Settled};

use crate::watch::Watch;
use crate::world::{World, id, v};

/// A made-up definition, from a few numbers.
pub fn definition(shape: [u8; 8], operators: bool) -> String {
    let [sizes, most, soak, caps, sites, retries, hops, names] = shape;
    let mut text = String::new();
    if sites & 1 == 1 {
        let cap = ["1", "2", "'30%'", "5"][usize::from(caps) % 4];
        text += &format!(
            "[[site]]\nname = 'lyon'\nselect = 'label.site = lyon'\ntime_zone = 'Europe/Paris'\n\
             windows = ['22:00-05:00', 'Sun 08:00-12:00']\nmax_concurrent = {cap}\n\
             [[site]]\nname = 'default'\nmax_concurrent = 3\n"
        );
        if sites & 2 == 2 {
            text = format!("max_concurrent = 4\n{text}");
        }
    }
    let target = if hops & 1 == 1 { "v5.0.1" } else { "v4.14.7" };
    let count = 1 + usize::from(names) % 2 * usize::from(operators);
    for name in ["prod", "second"].into_iter().take(count) {
        let target = if name == "second" { "v5.0.2" } else { target };
        text += &format!(
            "[[rollout]]\nname = '{name}'\nselect = 'group = prod and version < {target}'\n\
             target = '{target}'\nretries = {}\nretry_pause = '5m'\nunknown_after = '2h'\n",
            retries % 3
        );
        if caps & 8 == 8 {
            text += "max_concurrent = '40%'\n";
        }
        let strict = sizes & 1 == 1;
        let most = most % 3;
        text += &format!(
            "[[rollout.wave]]\nname = 'canary'\nsize = {}\nmax_failures = {most}\n\
             soak = '{}m'\nstrict = {strict}\n",
            1 + sizes / 2 % 5,
            1 + u32::from(soak) % 90,
        );
        if sizes & 16 == 16 {
            text += "[[rollout.wave]]\nname = 'half'\nsize = '50%'\nmax_failures = '40%'\n\
                     soak = '5m'\nmax_concurrent = 2\nunknown_after = '1h'\n";
        }
        text +=
            "[[rollout.wave]]\nname = 'rest'\nsize = '100%'\nmax_failures = '30%'\nsoak = '5m'\n";
    }
    text
}

/// One event: what, and two numbers that say to whom and how.
pub type Event = (u8, u8, u8);

/// What else may happen in a world.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Operators do more than look on.
    pub operators: bool,
}

pub struct Chaos {
    pub world: World,
    pub watch: Watch,
    /// Made a while ago, and not carried out.
    old: Option<(Plan, u64, std::collections::BTreeMap<RolloutKey, u64>)>,
    words: Vec<(TaskId, Outcome)>,
}

impl Chaos {
    pub fn new(agents: usize, shape: [u8; 8], mix: Mix) -> Self {
        let mut world = World::new(agents);
        if shape[6] & 2 == 2 {
            for number in (1..=agents).step_by(2) {
                world.enroll(number, "v4.3.0");
            }
        }
        world.apply(&definition(shape, mix.operators));
        Self {
            world,
            watch: Watch::default(),
            old: None,
            words: Vec::new(),
        }
    }

    fn pick<T: Clone>(of: &[T], by: u8) -> Option<T> {
        (!of.is_empty()).then(|| of[usize::from(by) % of.len()].clone())
    }

    fn any_agent(&self, by: u8) -> AgentId {
        id(usize::from(by) % self.world.hosts.len().max(1) + 1)
    }

    pub fn step(&mut self, event: Event, mix: Mix) -> Result<(), String> {
        let (kind, one, two) = event;
        match kind % 32 {
            0..=8 => self.plan_and_act(usize::MAX)?,
            // It crashes after so many actions.
            9 => self.plan_and_act(usize::from(one) % 4)?,
            10 => {
                let made = self.watch.plan(&self.world)?;
                self.old = Some((made, self.world.fence, self.world.epochs()));
            }
            // The old plan is carried out now, by whoever made it.
            11 => {
                if let Some((made, fence, epochs)) = self.old.take() {
                    self.carry_out(&made, fence, &epochs, usize::MAX)?;
                }
            }
            // Another node takes the lease over.
            12 => self.world.fence += 1,
            13..=16 => self.begin(one, two)?,
            17 if two.is_multiple_of(3) => {
                if let Some(task) = Self::pick(&self.world.permitted(), one) {
                    self.world.no_file(task);
                }
            }
            17 => self.begin(one, two)?,
            18 | 19 => self.outcome(one, two),
            20 => self.word(one, two),
            21 => self.clock(one, two),
            22 => {
                let agent = self.any_agent(one);
                let host = self.world.hosts.get_mut(&agent).unwrap();
                host.online = !host.online;
            }
            23 => {
                let agent = self.any_agent(one);
                self.world.look(agent);
            }
            24 => self.world.look_at_all(),
            25 if self.world.hosts.len() < 30 => {
                let number = self.world.hosts.len() + 1;
                self.world.enroll(number, "v4.14.0");
            }
            26 => {
                if let Some(task) = Self::pick(&self.world.awaited(), one) {
                    self.world.report(task, Outcome::Silent);
                }
            }
            // A window, a soak or a pause ends.
            27 | 28 => {
                if let Some(next) = self
                    .world
                    .plan()
                    .next
                    .filter(|next| *next - self.world.now < 90_000)
                {
                    self.world.now = next;
                }
            }
            _ if mix.operators => self.operate(one, two),
            _ => self.plan_and_act(usize::MAX)?,
        }
        self.watch.look(&self.world)
    }

    fn plan_and_act(&mut self, most: usize) -> Result<(), String> {
        let made = self.watch.plan(&self.world)?;
        let epochs = self.world.epochs();
        // One engine carries one plan out at a time; the plan of one that lost its lease
        // may still come.
        self.forget_old();
        self.carry_out(&made, self.world.fence, &epochs, most)
    }

    /// A plan of whoever has the lease is not carried out any more.
    fn forget_old(&mut self) {
        let fence = self.world.fence;
        self.old.take_if(|(_, by, _)| *by == fence);
    }

    fn carry_out(
        &mut self,
        made: &Plan,
        fence: u64,
        epochs: &std::collections::BTreeMap<RolloutKey, u64>,
        most: usize,
    ) -> Result<(), String> {
        for action in made.actions.iter().take(most) {
            let before = self.world.attempts.len();
            self.world.carry_out(action, fence, epochs);
            if fence == self.world.fence {
                self.watch.acted(&self.world, action, before)?;
            }
        }
        Ok(())
    }

    /// An installer is begun, or somebody tries to.
    fn begin(&mut self, one: u8, two: u8) -> Result<(), String> {
        let open = if two.is_multiple_of(8) {
            self.world.attempts.iter().map(|one| one.id).collect()
        } else {
            self.world.permitted()
        };
        let Some(task) = Self::pick(&open, one) else {
            return Ok(());
        };
        let before = self.world.attempt(task).unwrap().clone();
        if self.world.begin(task) {
            self.watch.begun(&self.world, &before)?;
            if before.rollout.is_none() {
                // Somebody else's, of which a plan that was made before knows nothing: no cap
                // holds against both.
                self.forget_old();
            }
        }
        Ok(())
    }

    /// The computer is upgraded or not, and says so or something else, later.
    fn outcome(&mut self, one: u8, two: u8) {
        let Some(task) = Self::pick(&self.world.awaited(), one) else {
            return;
        };
        let attempt = self.world.attempt(task).unwrap().clone();
        let host = self.world.hosts.get_mut(&attempt.agent).unwrap();
        match two % 8 {
            0 => self
                .words
                .push((task, Outcome::Failed("exit code 1".into()))),
            // It does not come back.
            1 => host.online = false,
            // It says so, and is not.
            2 => {
                self.words.push((task, Outcome::Succeeded));
                self.words
                    .push((task, Outcome::Unconfirmed("v4.14.0".into())));
            }
            _ => {
                host.runs = host.runs.max(attempt.target.unwrap());
                self.words.push((task, Outcome::Succeeded));
            }
        }
    }

    /// A word arrives: any of them, perhaps for the second time.
    fn word(&mut self, one: u8, two: u8) {
        if let Some((task, outcome)) = Self::pick(&self.words, one) {
            if !two.is_multiple_of(4) {
                let at = usize::from(one) % self.words.len();
                self.words.remove(at);
            }
            self.world.report(task, outcome);
        }
    }

    fn clock(&mut self, one: u8, two: u8) {
        let unit = [1, 60, 600, 3600][usize::from(two) % 4];
        self.world.now += i64::from(one) % 24 * unit;
    }

    fn operate(&mut self, one: u8, two: u8) {
        let agent = self.any_agent(two);
        let last = TaskId(self.world.attempts.len() as i64);
        let keys: Vec<_> = self
            .world
            .desired
            .rollouts
            .iter()
            .map(|d| d.key.clone())
            .collect();
        let Some(key) = Self::pick(&keys, two) else {
            return;
        };
        let mut of_agent = self.world.attempts.iter().rev();
        let newest = of_agent.find(|a| a.agent == agent && a.rollout.as_ref() == Some(&key));
        let settles = newest.filter(|a| a.begun.is_some()).map(|a| a.id);
        let document = self.world.document(&key).unwrap();
        match one % 16 {
            0 | 1 => drop(document.pause()),
            2 => drop(document.halt("by hand")),
            3..=6 => drop(document.resume()),
            7 => drop(document.skip(&[agent])),
            8 | 9 => {
                let asked = document.retry(&[agent], last);
                asked
                    .into_iter()
                    .for_each(|()| self.watch.forgive(agent, last));
            }
            // As the engine does: what was begun, in this rollout.
            10 => {
                if let Some(attempt) = settles {
                    let settled = Settled {
                        attempt,
                        succeeded: two.is_multiple_of(2),
                    };
                    drop(document.settle(agent, settled));
                }
            }
            11 => drop(self.world.holds.insert(agent, "by hand".into())),
            12 => drop(self.world.holds.remove(&agent)),
            13 if two.is_multiple_of(4) => drop(document.cancel()),
            14 if two.is_multiple_of(4) => {
                self.deny(v(["v4.14.0", "v4.14.7", "v5.0.1"][usize::from(two) % 3]))
            }
            15 => {
                // Somebody else upgrades an agent.
                let live = self
                    .world
                    .attempts
                    .iter()
                    .any(|a| a.agent == agent && a.end.is_none());
                if !live {
                    let attempt = self.world.new_attempt(None, agent, v("v4.14.3"), None);
                    self.world.attempts.push(attempt);
                }
            }
            _ => {}
        }
    }

    fn deny(&mut self, version: Version) {
        self.world.desired.releases.0.push(Release {
            version,
            floors: Vec::new(),
            denied: true,
            sha256: Digests::default(),
        });
        for document in &mut self.world.desired.rollouts {
            document.deny(version);
        }
    }
}

fn run(agents: usize, shape: [u8; 8], events: Vec<Event>, mix: Mix) -> Result<(), TestCaseError> {
    let mut chaos = Chaos::new(agents, shape, mix);
    for event in events {
        chaos.step(event, mix).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases())]

    // Invariants 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 15, 16.
    #[test]
    fn whatever_happens_the_rules_hold(
        agents in 1usize..16,
        shape in any::<[u8; 8]>(),
        events in prop::collection::vec(any::<Event>(), 30..100),
    ) {
        run(agents, shape, events, Mix { operators: true })?;
    }

    // The same, and invariant 3, which is about what nobody forgave or settled.
    #[test]
    fn a_strict_wave_breaks_at_most_one_more_than_may_fail(
        agents in 4usize..20,
        shape in any::<[u8; 8]>(),
        events in prop::collection::vec(any::<Event>(), 60..120),
    ) {
        let mut shape = shape;
        shape[0] |= 1;
        let mix = Mix { operators: false };
        let mut chaos = Chaos::new(agents, shape, mix);
        for event in events {
            chaos.step(event, mix).map_err(TestCaseError::fail)?;
            chaos.watch.strict(&chaos.world).map_err(TestCaseError::fail)?;
        }
    }
}
