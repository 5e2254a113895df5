//! Which agents names, patterns and selectors mean, among those that the manager lists.

use std::collections::{BTreeSet, HashMap, HashSet};

use wpk_api::{AgentId, AgentInfo, Labels};
use wpk_rollout::{Field, Member, Selector};

use super::named::Word;
use crate::error::CtlError;
use crate::ids::{self, compact};
use crate::manager::fleet::Agent;

/// The most names in one error, and the most agents that are proposed for one.
const MOST_TOLD: usize = 10;
const MOST_PROPOSED: usize = 3;

/// The ids behind words, in their order, each once.
///
/// # Errors
/// [`CtlError::Usage`] for a name that several agents have, and too many agents;
/// [`CtlError::Nobody`] for names and patterns that none has.
pub(super) fn words(words: &[&Word], agents: &[Agent]) -> Result<Vec<AgentId>, CtlError> {
    let mut named: HashMap<&str, Vec<AgentId>> = HashMap::new();
    for agent in agents {
        if let Some(name) = agent.listed().name.as_deref() {
            named.entry(name).or_default().push(agent.id());
        }
    }
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let (mut twice, mut nobody) = (Vec::new(), Vec::new());
    ids::bounded(words.iter().filter_map(|word| match word {
        Word::Ids(ids) => Some(ids.clone()),
        _ => None,
    }))?;
    for word in words {
        let these: Vec<AgentId> = match word {
            Word::Ids(range) => range
                .clone()
                .filter_map(|id| AgentId::new(id.into()).ok())
                .collect(),
            Word::Name(name) => match named.get(name.as_str()).map_or(&[][..], Vec::as_slice) {
                [] => {
                    nobody.push(unknown(name, agents));
                    continue;
                }
                [one] => vec![*one],
                several => {
                    let ids = compact(several.iter().copied());
                    twice.push(format!(
                        "{} agents are named {name:?}: {ids}; write the id of the one that is meant",
                        several.len()
                    ));
                    continue;
                }
            },
            Word::Pattern(pattern) => {
                let these = matching(&Selector::named(pattern.as_str()), agents);
                if these.is_empty() {
                    nobody.push(format!("no agent has a name like {pattern:?}"));
                }
                these
            }
        };
        found.extend(these.into_iter().filter(|agent| seen.insert(*agent)));
    }
    match (twice.is_empty(), nobody.is_empty()) {
        (true, true) => Ok(found),
        // Whoever is to write it anew is told all of it.
        (false, _) => Err(CtlError::Usage(told(&twice, &nobody))),
        (true, false) => Err(CtlError::Nobody(told(&nobody, &[]))),
    }
}

/// The ids of those that a selector means, ascending.
///
/// # Errors
/// [`CtlError::Usage`] if it asks what the manager does not tell, [`CtlError::Nobody`] if
/// it means nobody.
pub(super) fn selected(selector: &Selector, agents: &[Agent]) -> Result<Vec<AgentId>, CtlError> {
    can_be_asked(selector, agents)?;
    let found = matching(selector, agents);
    if found.is_empty() {
        return Err(CtlError::Nobody(format!(
            "none of the {} agents that the manager lists is meant by --select '{selector}'; \
             `wpkctl agents --wide` shows what it knows of them",
            agents.len()
        )));
    }
    Ok(found)
}

/// Those among the agents that a selector means. The manager itself is no agent here.
pub(super) fn matching(selector: &Selector, agents: &[Agent]) -> Vec<AgentId> {
    let agents = agents.iter().filter(|agent| agent.id() != AgentId::MANAGER);
    let found = agents.filter(|agent| selector.matches(&member(agent)));
    found.map(Agent::id).collect()
}

/// Whether the manager tells what a selector asks for. What it does not tell would else
/// look as if no agent had it, and `!=` and `not` would mean everybody.
///
/// # Errors
/// [`CtlError::Usage`].
pub(super) fn can_be_asked(selector: &Selector, agents: &[Agent]) -> Result<(), CtlError> {
    // Of each: of a part of them a daemon whose store failed meanwhile may tell nothing.
    let tells = |tells: fn(&Agent) -> bool| {
        let mut agents = agents.iter().filter(|agent| agent.id() != AgentId::MANAGER);
        agents.all(tells)
    };
    if selector.asks(&Field::Site) && !tells(|agent| agent.site().is_some()) {
        return Err(CtlError::Usage(
            "--select asks for a site, and this manager does not tell in which site all its \
             agents are; ask for what the site's own selector asks for, such as group or label.NAME"
                .to_owned(),
        ));
    }
    if selector.asks_labels() && !tells(|agent| agent.labels().is_some()) {
        return Err(CtlError::Usage(
            "--select asks for a label, and this manager tells no labels of its agents, or not \
             of all; ask for group, name, id or version, or write the ids"
                .to_owned(),
        ));
    }
    Ok(())
}

/// An agent as selectors see it.
fn member(agent: &Agent) -> Member {
    let none = Labels::new();
    let site = agent.listed().details.site.as_deref();
    Member {
        site: site.and_then(|site| site.parse().ok()),
        ..Member::of(
            &AgentInfo::from(agent.listed()),
            agent.labels().unwrap_or(&none),
        )
    }
}

/// What is said of a name that no agent has, with those that it may have been meant for.
fn unknown(name: &str, agents: &[Agent]) -> String {
    let lower = name.to_lowercase();
    let close = |other: &str| {
        let other = other.to_lowercase();
        let (short, long) = match other.len() < lower.len() {
            true => (&other, &lower),
            false => (&lower, &other),
        };
        short.len() > 2 && long.contains(short.as_str())
    };
    let alike = agents.iter().filter_map(|agent| {
        let other = agent.name().filter(|other| close(other))?;
        Some(format!("{other} ({})", agent.id()))
    });
    let alike: Vec<String> = alike.take(MOST_PROPOSED).collect();
    match alike.is_empty() {
        true => format!("no agent is named {name:?}"),
        false => format!(
            "no agent is named {name:?}; is {} meant?",
            alike.join(" or ")
        ),
    }
}

/// Several mistakes, a line each.
fn told(first: &[String], then: &[String]) -> String {
    let all: BTreeSet<&String> = first.iter().chain(then).collect();
    let mut lines: Vec<String> = all
        .iter()
        .take(MOST_TOLD)
        .map(|line| (*line).clone())
        .collect();
    if all.len() > MOST_TOLD {
        lines.push(format!("and {} more such names", all.len() - MOST_TOLD));
    }
    lines.push(
        "nothing was done; `wpkctl agents` lists names and ids, and ids are taken as they are"
            .to_owned(),
    );
    lines.join("\n")
}
