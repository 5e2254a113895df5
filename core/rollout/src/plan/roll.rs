//! One rollout, and where each agent stands in its waves.

use std::collections::{HashMap, HashSet};

use wpk_api::{AgentId, Version};

use super::ground::Ground;
use crate::definition::seconds;
use crate::facts::{Document, Phase};
use crate::member::Member;
use crate::waves;

/// Where an agent stands in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a wave that was opened.
    Open(u16),
    /// It will be in a wave that was not opened yet.
    Ahead(u16),
    /// Nobody has put it anywhere yet.
    None,
}

impl Place {
    pub(crate) const fn wave(self) -> Option<usize> {
        match self {
            Self::Open(wave) | Self::Ahead(wave) => Some(wave as usize),
            Self::None => None,
        }
    }
}

pub(crate) struct Roll<'a> {
    pub(crate) document: &'a Document,
    pub(crate) target: Option<Version>,
    /// By the agents' numbers.
    places: Vec<Place>,
    /// Of agents that the directory does not know any more.
    ghosts: HashMap<AgentId, Place>,
    excluded: HashSet<AgentId>,
    /// Where each wave ends in the frozen order.
    ends: Vec<usize>,
}

impl<'a> Roll<'a> {
    pub(crate) fn new(document: &'a Document, ground: &Ground<'_>) -> Self {
        let (definition, facts) = (&document.definition, &document.facts);
        let population = facts.population.as_deref().unwrap_or_default();
        let ends = waves::ends(&definition.waves, population.len());
        let mut roll = Self {
            document,
            target: definition.target,
            places: vec![Place::None; ground.agents.len()],
            ghosts: HashMap::new(),
            excluded: HashSet::new(),
            ends,
        };
        for wave in facts.waves.len()..roll.ends.len() {
            let members = slice(&roll.ends, population, wave);
            roll.put(ground, members, Place::Ahead(wave as u16));
        }
        for (wave, open) in facts.waves.iter().enumerate() {
            roll.put(ground, &open.members, Place::Open(wave as u16));
        }
        let last = definition.waves.len().saturating_sub(1);
        roll.put(ground, &facts.joined, Place::Open(last as u16));
        let by_hand = definition.exclude.iter().chain(&facts.skipped);
        roll.excluded.extend(by_hand);
        roll
    }

    /// The first place of an agent is the one that counts, unless it was only ahead.
    fn put(&mut self, ground: &Ground<'_>, agents: &[AgentId], place: Place) {
        for agent in agents {
            let known = match ground.find(*agent) {
                Some(number) => self.places.get_mut(number),
                None => Some(self.ghosts.entry(*agent).or_insert(Place::None)),
            };
            if let Some(known) = known.filter(|known| !matches!(known, Place::Open(_))) {
                *known = place;
            }
        }
    }

    /// Where an agent stands; `number` is its number, if the directory knows it.
    pub(crate) fn place(&self, agent: AgentId, number: Option<usize>) -> Place {
        let place = match number {
            Some(number) => self.places.get(number),
            None => self.ghosts.get(&agent),
        };
        place.copied().unwrap_or(Place::None)
    }

    /// Members of open waves that the directory does not know any more, with their waves.
    pub(crate) fn ghosts(&self) -> Vec<(AgentId, u16)> {
        let open = self.ghosts.iter().filter_map(|(agent, place)| match place {
            Place::Open(wave) => Some((*agent, *wave)),
            _ => None,
        });
        let mut ghosts: Vec<_> = open.collect();
        ghosts.sort_unstable();
        ghosts
    }

    pub(crate) fn is_excluded(&self, agent: AgentId) -> bool {
        !self.excluded.is_empty() && self.excluded.contains(&agent)
    }

    pub(crate) fn matches(&self, member: &Member) -> bool {
        self.document.definition.select.matches(member)
    }

    pub(crate) const fn running(&self) -> bool {
        matches!(self.document.facts.phase, Phase::Running)
    }

    pub(crate) fn all_opened(&self) -> bool {
        self.document.facts.waves.len() >= self.document.definition.waves.len()
    }

    /// How long a success of this wave is watched, in seconds. One that is in no wave any
    /// more is watched as in the last.
    pub(crate) fn soak(&self, wave: Option<usize>) -> i64 {
        let waves = &self.document.definition.waves;
        let wave = wave.and_then(|wave| waves.get(wave)).or(waves.last());
        wave.map_or(0, |wave| seconds(wave.soak))
    }

    /// Members of a wave that was not opened, in their order.
    pub(crate) fn ahead(&self, wave: usize) -> &'a [AgentId] {
        let population = self
            .document
            .facts
            .population
            .as_deref()
            .unwrap_or_default();
        slice(&self.ends, population, wave)
    }

    /// Members of a wave that was opened, in their order.
    pub(crate) fn members(&self, wave: usize) -> impl Iterator<Item = AgentId> + use<'a> {
        let facts = &self.document.facts;
        let opened = facts.waves.get(wave).map_or(&[][..], |open| &open.members);
        let is_last = wave + 1 == self.document.definition.waves.len();
        let joined = if is_last { &facts.joined[..] } else { &[] };
        opened.iter().chain(joined).copied()
    }
}

fn slice<'a>(ends: &[usize], population: &'a [AgentId], wave: usize) -> &'a [AgentId] {
    let end = ends.get(wave).copied().unwrap_or(population.len());
    let start = wave
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .copied()
        .unwrap_or(0);
    population.get(start..end).unwrap_or_default()
}
