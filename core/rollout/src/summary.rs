//! What applying a definition would do, counted, for `plan FILE`.

use std::collections::BTreeMap;

use crate::Name;
use crate::facts::RolloutKey;
use crate::plan::{AgentState, Inputs, plan};
use crate::waves;

/// A rollout, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The rollout.
    pub key: RolloutKey,
    /// Its waves with how many agents each has, or would have if it opened now.
    pub waves: Vec<(Name, usize)>,
    /// Agents that are to be upgraded, by site.
    pub sites: BTreeMap<Name, usize>,
    /// The same by platform; empty where it is not known.
    pub platforms: BTreeMap<String, usize>,
    /// Agents that cannot be upgraded, by the reason.
    pub unsupported: BTreeMap<String, usize>,
    /// Agents that are to be upgraded and not connected.
    pub unreachable: usize,
    /// Agents that are left out, held, or run the target already.
    pub left_out: usize,
    /// Agents that belong to rollouts applied before it.
    pub elsewhere: Vec<(Name, usize)>,
    /// Why it could not start.
    pub problems: Vec<String>,
}

/// Counts all rollouts that are not over, in the order in which they were applied.
pub fn summaries(inputs: &Inputs<'_>) -> Vec<Summary> {
    let made = plan(inputs);
    let sites = &inputs.desired.sites;
    let members: BTreeMap<_, _> = inputs
        .agents
        .iter()
        .map(|agent| (agent.member.id, &agent.member))
        .collect();
    let live = inputs.desired.rollouts.iter().filter(|one| one.is_live());
    let mut summaries: Vec<(u64, Summary)> = Vec::new();
    for document in live {
        let Some(status) = made.rollouts.iter().find(|one| one.key == document.key) else {
            continue;
        };
        let mut summary = Summary {
            key: document.key.clone(),
            waves: Vec::new(),
            sites: BTreeMap::new(),
            platforms: BTreeMap::new(),
            unsupported: BTreeMap::new(),
            unreachable: 0,
            left_out: 0,
            elsewhere: status.elsewhere.clone(),
            problems: status.problems.clone(),
        };
        let mine = made
            .agents
            .iter()
            .filter(|one| one.rollout.as_deref() == Some(&document.key));
        let mut all = 0;
        for verdict in mine {
            match verdict.state {
                AgentState::Unsupported => {
                    *summary
                        .unsupported
                        .entry(verdict.reason.to_string())
                        .or_default() += 1;
                    continue;
                }
                AgentState::Excluded | AgentState::Current => {
                    summary.left_out += 1;
                    continue;
                }
                AgentState::Unreachable => summary.unreachable += 1,
                _ => {}
            }
            all += 1;
            let Some(member) = members.get(&verdict.agent) else {
                continue;
            };
            if let Some(site) = sites.sites.get(sites.find(member)) {
                *summary.sites.entry(site.name.clone()).or_default() += 1;
            }
            let platform = member.platform.clone().unwrap_or_default();
            *summary.platforms.entry(platform).or_default() += 1;
        }
        let ends = waves::ends(&document.definition.waves, all);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let frozen = document.facts.population.is_some();
        for (((wave, status), start), end) in document
            .definition
            .waves
            .iter()
            .zip(&status.waves)
            .zip(starts)
            .zip(&ends)
        {
            let size = if frozen {
                status.tally.members
            } else {
                end - start
            };
            summary.waves.push((wave.name.clone(), size));
        }
        summaries.push((document.order, summary));
    }
    summaries.sort_by_key(|(order, _)| *order);
    summaries.into_iter().map(|(_, summary)| summary).collect()
}
