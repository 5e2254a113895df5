//! What all rollouts stand on: agents by their ids, their sites and windows, and attempts
//! by agent. Everything is found by numbers, since there may be 50,000 of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use wpk_api::{AgentId, TaskId, UnixTime, Version};

use super::inputs::{Clock, Inputs};
use crate::attempt::Attempt;
use crate::definition::{Amount, NoWay};
use crate::facts::{Document, RolloutKey};
use crate::member::Agent;
use crate::window::Opening;

/// The way of an agent: its next hop, and how many are left.
pub(crate) type Way = Result<Option<(Version, u8)>, NoWay>;

pub(crate) struct Ground<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    /// Live and over, in the order in which they were applied.
    pub(crate) documents: Vec<&'a Document>,
    pub(crate) keys: Vec<Arc<RolloutKey>>,
    /// Agents in ascending order of their ids; their places here are their numbers.
    pub(crate) agents: Vec<&'a Agent>,
    numbers: Numbers,
    /// The site of each agent.
    pub(crate) site_of: Vec<u32>,
    pub(crate) openings: Vec<Opening>,
    pub(crate) site_caps: Vec<Option<usize>>,
    /// Attempts by agent, then by id; their places here are their numbers.
    pub(crate) attempts: Vec<Known<'a>>,
    /// From which to which attempt each agent has, by the agents' numbers.
    ranges: Vec<(u32, u32)>,
    ways: Mutex<Vec<((Version, Version), Way)>>,
}

/// An attempt, with what it is found by.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) attempt: &'a Attempt,
    /// The number of its agent, if the directory knows it.
    pub(crate) agent: Option<u32>,
    /// The number of its document. Of one whose document is gone, none.
    pub(crate) document: Option<u32>,
}

impl<'a> Ground<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, clock: &mut Clock) -> Self {
        let sites = &inputs.desired.sites;
        let mut documents: Vec<&Document> = inputs.desired.rollouts.iter().collect();
        documents.sort_by_key(|one| (one.order, &one.key));
        let mut agents: Vec<&Agent> = inputs.agents.iter().collect();
        if !agents.is_sorted_by_key(|agent| agent.member.id) {
            agents.sort_by_key(|agent| agent.member.id);
        }
        agents.dedup_by_key(|agent| agent.member.id);
        let site_of: Vec<u32> = (agents.iter())
            .map(|agent| sites.find(&agent.member) as u32)
            .collect();
        let openings: Vec<Opening> = (sites.sites.iter())
            .map(|site| site.opening(inputs.now))
            .collect();
        for opening in &openings {
            let (Opening::Open(next) | Opening::Closed(next)) = *opening;
            next.into_iter().for_each(|next| clock.at(next));
        }
        let mut sizes = vec![0usize; sites.sites.len()];
        for site in &site_of {
            if let Some(size) = sizes.get_mut(*site as usize) {
                *size += 1;
            }
        }
        let caps = sites.sites.iter().zip(&sizes);
        let site_caps = caps.map(|(site, all)| site.max_concurrent.map(|cap| cap_of(cap, *all)));
        let numbers = Numbers::of(agents.iter().map(|agent| agent.member.id).collect());
        let attempts = known(inputs.attempts, &numbers, &documents);
        let mut ranges = vec![(0, 0); agents.len()];
        for (at, one) in attempts.iter().enumerate() {
            if let Some(range) = one.agent.and_then(|agent| ranges.get_mut(agent as usize)) {
                let start = if range.1 == 0 { at as u32 } else { range.0 };
                *range = (start, at as u32 + 1);
            }
        }
        Self {
            keys: documents
                .iter()
                .map(|one| Arc::new(one.key.clone()))
                .collect(),
            site_caps: site_caps.collect(),
            ways: Mutex::new(Vec::new()),
            inputs,
            documents,
            agents,
            numbers,
            site_of,
            openings,
            attempts,
            ranges,
        }
    }

    pub(crate) const fn now(&self) -> UnixTime {
        self.inputs.now
    }

    /// An agent's number, if the directory knows it.
    pub(crate) fn find(&self, id: AgentId) -> Option<usize> {
        self.numbers.find(id)
    }

    pub(crate) fn agent(&self, number: Option<usize>) -> Option<&'a Agent> {
        self.agents.get(number?).copied()
    }

    /// The numbers of an agent's attempts, oldest first.
    pub(crate) fn attempts_of(&self, id: AgentId, number: Option<usize>) -> std::ops::Range<usize> {
        if let Some(number) = number {
            let (from, to) = self.ranges.get(number).copied().unwrap_or((0, 0));
            return from as usize..to as usize;
        }
        let from = self.attempts.partition_point(|one| one.attempt.agent < id);
        let to = self.attempts.partition_point(|one| one.attempt.agent <= id);
        from..to
    }

    /// The way from a version to a target. Most agents run one of few versions.
    pub(crate) fn way(&self, from: Version, to: Version) -> Way {
        let find = || {
            let hops = self.inputs.desired.releases.hops(from, to)?;
            let first = hops.first().map(|first| (*first, hops.len() as u8));
            Ok(first)
        };
        let Ok(mut ways) = self.ways.lock() else {
            return find();
        };
        if let Some((_, way)) = ways.iter().find(|(ends, _)| *ends == (from, to)) {
            return *way;
        }
        let way = find();
        // Beyond that it is quicker to find it anew.
        if ways.len() < 64 {
            ways.push(((from, to), way));
        }
        way
    }
}

fn known<'a>(
    attempts: &'a [Attempt],
    numbers: &Numbers,
    documents: &[&Document],
) -> Vec<Known<'a>> {
    let by_key: HashMap<&RolloutKey, u32> = (documents.iter().enumerate())
        .map(|(at, one)| (&one.key, at as u32))
        .collect();
    let mut order: Vec<(AgentId, TaskId, u32)> = (attempts.iter().enumerate())
        .map(|(at, one)| (one.agent, one.id, at as u32))
        .collect();
    order.sort_unstable();
    order.dedup_by_key(|(agent, task, _)| (*agent, *task));
    // Most are of the same rollout as the one before.
    let mut last: Option<(&RolloutKey, Option<u32>)> = None;
    let mut document_of = |key: &'a RolloutKey| match last {
        Some((known, document)) if *known == *key => document,
        _ => {
            let document = by_key.get(key).copied();
            last = Some((key, document));
            document
        }
    };
    let of = |(agent, _, at): (AgentId, TaskId, u32)| {
        let attempt = attempts.get(at as usize)?;
        let document = attempt.rollout.as_ref();
        Some(Known {
            attempt,
            agent: numbers.find(agent).map(|number| number as u32),
            document: document.and_then(&mut document_of),
        })
    };
    order.into_iter().filter_map(of).collect()
}

/// Numbers by ids.
enum Numbers {
    /// Ids are close together: at each id its number plus 1.
    Dense(Vec<u32>),
    Sparse(Vec<AgentId>),
}

impl Numbers {
    fn of(ids: Vec<AgentId>) -> Self {
        let highest = ids.last().map_or(0, |id| id.get() as usize);
        if highest > ids.len() * 8 + 1024 {
            return Self::Sparse(ids);
        }
        let mut dense = vec![0; highest + 1];
        for (number, id) in ids.iter().enumerate() {
            if let Some(place) = dense.get_mut(id.get() as usize) {
                *place = number as u32 + 1;
            }
        }
        Self::Dense(dense)
    }

    fn find(&self, id: AgentId) -> Option<usize> {
        match self {
            Self::Dense(numbers) => match numbers.get(id.get() as usize) {
                None | Some(0) => None,
                Some(number) => Some(*number as usize - 1),
            },
            Self::Sparse(ids) => ids.binary_search(&id).ok(),
        }
    }
}

/// A cap of so many: a percent is rounded down, but at least 1.
pub(crate) fn cap_of(cap: Amount, all: usize) -> usize {
    cap.at_least_one_of(all)
}
