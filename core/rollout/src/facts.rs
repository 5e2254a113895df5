//! What a store keeps of a rollout: intentions, and facts that cannot be undone. All else
//! is derived from these and the attempts by [`plan`](crate::plan()).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use wpk_api::{AgentId, TaskId, UnixTime, Version};

use crate::Name;
use crate::definition::{Digest, Rollout};

/// Which rollout: its name, and how many of this name were there before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RolloutKey {
    /// Its name.
    pub name: Name,
    /// 1 for the first of its name; raised when one takes the place of another.
    pub generation: u32,
}

impl fmt::Display for RolloutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.generation)
    }
}

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Which.
    pub key: RolloutKey,
    /// Its place among all: of two that want one agent, the lower has it.
    pub order: u64,
    /// What was applied.
    pub definition: Rollout,
    /// Of the definition.
    pub digest: Digest,
    /// What came of it.
    pub facts: Facts,
}

/// What happened and cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// When it was applied first.
    pub applied: UnixTime,
    /// Raised by everything that takes leave to begin away; permits of another epoch are
    /// worth nothing.
    pub epoch: u64,
    /// Whether it goes on.
    pub phase: Phase,
    /// All its agents in the order of the waves, frozen when the first wave opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Vec<AgentId>>,
    /// Its waves that were opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<OpenedWave>,
    /// Agents that came later; members of the last wave, behind all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<AgentId>,
    /// Left out by an operator.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<AgentId>,
    /// An operator's word on attempts of which no word came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settled: BTreeMap<AgentId, Settled>,
    /// An operator asked for another try: failures of attempts up to this one count no
    /// more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forgiven: BTreeMap<AgentId, TaskId>,
}

/// A wave that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedWave {
    /// When.
    pub opened: UnixTime,
    /// Who is in it, for ever.
    pub members: Vec<AgentId>,
    /// When its gate was passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<UnixTime>,
}

/// What an operator says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Which.
    pub attempt: TaskId,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// Whether a rollout goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It does.
    Running,
    /// An operator stopped it for a while.
    Paused,
    /// It was stopped, by its gate or by an operator, for this reason.
    Halted(String),
    /// Another of its name took its place.
    Superseded,
    /// It is over.
    Cancelled,
}

/// Why an operator's wish is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is over.
    #[error("rollout {0} is over: it was cancelled or superseded")]
    Over(Name),
    /// It is so already.
    #[error("rollout {0} is {1} already")]
    Already(Name, &'static str),
    /// The agent is not in it.
    #[error("agent {1} is not in rollout {0}")]
    NotIn(Name, AgentId),
}

impl Document {
    /// A rollout that begins.
    pub(crate) fn new(
        key: RolloutKey,
        order: u64,
        definition: Rollout,
        epoch: u64,
        now: UnixTime,
    ) -> Self {
        Self {
            key,
            order,
            digest: Digest::of(&definition),
            definition,
            facts: Facts {
                applied: now,
                epoch,
                phase: Phase::Running,
                population: None,
                waves: Vec::new(),
                joined: Vec::new(),
                skipped: BTreeSet::new(),
                settled: BTreeMap::new(),
                forgiven: BTreeMap::new(),
            },
        }
    }

    /// Whether it was neither cancelled nor superseded.
    pub const fn is_live(&self) -> bool {
        !matches!(self.facts.phase, Phase::Superseded | Phase::Cancelled)
    }

    /// When it starts.
    pub fn start(&self) -> UnixTime {
        let not_before = self.definition.not_before.map_or(i64::MIN, |start| start.0);
        self.facts.applied.max(not_before)
    }

    fn alive(&self) -> Result<(), Refused> {
        match self.is_live() {
            true => Ok(()),
            false => Err(Refused::Over(self.key.name.clone())),
        }
    }

    /// Takes all leave to begin away and goes to another phase.
    fn stop(&mut self, phase: Phase) {
        self.facts.epoch += 1;
        self.facts.phase = phase;
    }

    /// Nothing begins until [`resume`](Self::resume).
    ///
    /// # Errors
    /// It is over, paused or halted.
    pub fn pause(&mut self) -> Result<(), Refused> {
        self.alive()?;
        match self.facts.phase {
            Phase::Running => self.stop(Phase::Paused),
            Phase::Halted(_) => return Err(Refused::Already(self.key.name.clone(), "halted")),
            _ => return Err(Refused::Already(self.key.name.clone(), "paused")),
        }
        Ok(())
    }

    /// Goes on after a pause or a halt. If what halted it is still so, it is halted again
    /// by the next plan.
    ///
    /// # Errors
    /// It is over, or runs.
    pub fn resume(&mut self) -> Result<(), Refused> {
        self.alive()?;
        if self.facts.phase == Phase::Running {
            return Err(Refused::Already(self.key.name.clone(), "running"));
        }
        self.facts.phase = Phase::Running;
        Ok(())
    }

    /// Stops it for a reason.
    ///
    /// # Errors
    /// It is over, or halted.
    pub fn halt(&mut self, reason: &str) -> Result<(), Refused> {
        self.alive()?;
        if matches!(self.facts.phase, Phase::Halted(_)) {
            return Err(Refused::Already(self.key.name.clone(), "halted"));
        }
        let reason = wpk_api::words::clean(reason, wpk_api::words::LONGEST_CAUSE);
        self.stop(Phase::Halted(reason));
        Ok(())
    }

    /// Ends it. What was begun ends by itself.
    ///
    /// # Errors
    /// It is over.
    pub fn cancel(&mut self) -> Result<(), Refused> {
        self.alive()?;
        self.stop(Phase::Cancelled);
        Ok(())
    }

    /// Another one of its name takes its place.
    pub(crate) fn supersede(&mut self) {
        self.stop(Phase::Superseded);
    }

    /// A release was denied. Every rollout is told, since it may be a target or a hop.
    pub fn deny(&mut self, release: Version) {
        if !self.is_live() {
            return;
        }
        match &self.facts.phase {
            Phase::Running if self.definition.target == Some(release) => {
                self.stop(Phase::Halted(format!("release {release} was denied")));
            }
            _ => self.facts.epoch += 1,
        }
    }

    /// Leaves agents out. What was begun ends by itself and counts no more.
    ///
    /// # Errors
    /// It is over.
    pub fn skip(&mut self, agents: &[AgentId]) -> Result<(), Refused> {
        self.alive()?;
        self.facts.epoch += 1;
        self.facts.skipped.extend(agents);
        Ok(())
    }

    /// Another try for agents that failed, here or for the same release in another
    /// rollout; `last` is the highest task there is. A skipped agent is in again.
    ///
    /// # Errors
    /// It is over.
    pub fn retry(&mut self, agents: &[AgentId], last: TaskId) -> Result<(), Refused> {
        self.alive()?;
        for agent in agents {
            self.facts.skipped.remove(agent);
            self.facts.forgiven.insert(*agent, last);
        }
        Ok(())
    }

    /// An operator says how an attempt ended of which no word came. A word that comes
    /// later, or a version that is seen, is worth more.
    ///
    /// # Errors
    /// It is over, or the agent was never in it.
    pub fn settle(&mut self, agent: AgentId, settled: Settled) -> Result<(), Refused> {
        self.alive()?;
        if !self.members().contains(&agent) {
            return Err(Refused::NotIn(self.key.name.clone(), agent));
        }
        self.facts.settled.insert(agent, settled);
        Ok(())
    }

    fn members(&self) -> BTreeSet<AgentId> {
        let opened = self.facts.waves.iter().flat_map(|wave| &wave.members);
        opened.chain(&self.facts.joined).copied().collect()
    }
}
