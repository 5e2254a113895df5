//! `rollout_plan`, `rollout_apply`, `rollout_rehearse`: what a definition would do, and
//! doing it, only as it was planned.

use std::collections::BTreeMap;

use wpk_api::Version;
use wpk_api::settings::Problem;
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_rollout::{
    Definition, Desired, Document, Name, Odds, Rehearsal, Summary, rehearse, summaries,
};
use wpk_wire::own::rollout as wire;
use wpk_wire::own::rollout::{
    ApplyRollout, PlanRollout, Planned, PlannedChange, PlannedRollout, PlannedWave, SiteRate,
    Tallied,
};
use wpk_wire::{Refusal, Response};

use super::refusals::{of_store, refused};
use super::shown::{newest, reason};
use crate::rollout::{KeptReleases, View, Who, change, view};
use crate::workshop::Workshop;

/// Mistakes that are told in one answer.
const MOST_PROBLEMS: usize = 20;
/// Over rollouts that are kept of each name.
const KEPT: usize = 20;

/// Answers `rollout_plan`.
pub(super) async fn plan(workshop: &Workshop, asked: PlanRollout) -> Result<Response, Refusal> {
    let (planned, _) = look(workshop, &asked.definition).await?;
    Ok(Response::success(vec![planned.to_item()]))
}

async fn look(workshop: &Workshop, text: &str) -> Result<(Planned, Definition), Refusal> {
    let definition = read(text)?;
    let (now, _) = view(workshop).await.map_err(of_store)?;
    late(&definition, &now)?;
    let digest = now.desired.digest(&definition);
    let after = now.desired.apply(&definition, digest, now.now);
    let after = now.with(after.map_err(|error| refused(error.to_string()))?);
    let of = |after: &View| {
        let inputs = after.inputs();
        (summaries(&inputs), rehearse(&inputs, &Odds::default()))
    };
    let (counted, played) = after.beside(of).await.map_err(of_store)?;
    let manager = workshop.manager.get(&*workshop.parts.directory).await;
    let rollouts = definition.rollouts.iter().filter_map(|rollout| {
        let document = newest(&after.desired, &rollout.name).ok()?;
        let summary = counted.iter().find(|one| one.key == document.key)?;
        Some(shown(&now.desired, document, summary, manager))
    });
    let rollouts: Vec<PlannedRollout> = rollouts.collect();
    let mut assumptions = assumptions(&Odds::default());
    assumptions.extend(rollouts.iter().filter_map(nobody));
    let planned = Planned {
        digest: digest.to_string(),
        rollouts,
        replaces_sites: definition
            .sites
            .as_ref()
            .is_some_and(|sites| *sites != now.desired.sites),
        replaces_releases: (definition.releases.as_ref())
            .is_some_and(|releases| *releases != now.desired.releases),
        peak_bandwidth: rates(&played.peak),
        earliest_end: played.ended,
        no_end: no_end(&played),
        assumptions,
    };
    Ok((planned, definition))
}

pub(super) fn read(text: &str) -> Result<Definition, Refusal> {
    Definition::from_toml(text).map_err(|problems| wrong(&problems))
}

fn wrong(problems: &[Problem]) -> Refusal {
    let told = problems.iter().take(MOST_PROBLEMS);
    let mut words: Vec<String> = told
        .map(|problem| match problem.key.as_str() {
            "" => clean(&problem.message, LONGEST_CAUSE),
            key => clean(&format!("{key} {}", problem.message), LONGEST_CAUSE),
        })
        .collect();
    if problems.len() > MOST_PROBLEMS {
        words.push(format!("and {} more", problems.len() - MOST_PROBLEMS));
    }
    // A line each: they are read one after the other, with the file beside them.
    refused(words.join("\n"))
}

pub(super) fn late(definition: &Definition, now: &View) -> Result<(), Refusal> {
    let live = now.desired.rollouts.iter().filter(|one| one.is_live());
    let applied: Vec<_> = live.map(|one| one.definition.clone()).collect();
    match definition.late(&applied, now.now).as_slice() {
        [] => Ok(()),
        late => Err(wrong(late)),
    }
}

fn shown(
    before: &Desired,
    after: &Document,
    summary: &Summary,
    manager: Option<Version>,
) -> PlannedRollout {
    let known = before.rollouts.iter().find(|one| one.key == after.key);
    let runs = before
        .rollouts
        .iter()
        .any(|one| one.key.name == after.key.name && one.is_live());
    let what = match known {
        Some(known) if known.definition == after.definition => PlannedChange::Unchanged,
        Some(_) => PlannedChange::Changes,
        None if runs => PlannedChange::Replaces,
        None => PlannedChange::Begins,
    };
    let definition = &after.definition;
    let waves = summary.waves.iter().zip(&definition.waves);
    let tally = |counted: &BTreeMap<String, usize>| {
        Tallied::new(
            counted
                .iter()
                .map(|(what, agents)| (what.as_str(), *agents)),
        )
    };
    let mut problems: Vec<wire::Words> = summary.problems.iter().map(Into::into).collect();
    problems.extend(above_manager(definition.target, manager).map(wire::Words::from));
    PlannedRollout {
        name: (&*after.key.name).into(),
        generation: after.key.generation,
        what,
        target: definition.target.map(|target| target.to_string().into()),
        file: definition.file.as_ref().map(Into::into),
        waves: waves
            .map(|((name, agents), wave)| PlannedWave {
                name: (&**name).into(),
                agents: *agents as u64,
                may_fail: wave.max_failures.of(*agents) as u64,
                strict: wave.strict,
            })
            .collect(),
        sites: Tallied::new(
            summary
                .sites
                .iter()
                .map(|(site, agents)| (&**site, *agents)),
        ),
        platforms: tally(&summary.platforms),
        unsupported: tally(&summary.unsupported),
        unreachable: summary.unreachable as u64,
        left_out: summary.left_out as u64,
        elsewhere: Tallied::new(
            summary
                .elsewhere
                .iter()
                .map(|(name, agents)| (&**name, *agents)),
        ),
        problems,
    }
}

/// A rollout that selects nobody at all has nothing to do, which a typing error looks like.
fn nobody(rollout: &PlannedRollout) -> Option<wire::Words> {
    let waves: u64 = rollout.waves.iter().map(|wave| wave.agents).sum();
    let others = rollout.unsupported.agents() + rollout.elsewhere.agents();
    (waves + rollout.left_out + others == 0).then(|| {
        format!(
            "no agent matches `select` of rollout {} now: it has nothing to do until one does",
            rollout.name
        )
        .into()
    })
}

/// Agents that are newer than their manager are not supported by 4.x.
fn above_manager(target: Option<Version>, manager: Option<Version>) -> Option<String> {
    let (target, manager) = (target?, manager?);
    (target > manager).then(|| {
        format!("target {target} is newer than this manager, {manager}: upgrade the manager first")
    })
}

/// Answers `rollout_apply`.
pub(super) async fn apply(
    workshop: &Workshop,
    who: &Who,
    asked: ApplyRollout,
) -> Result<Response, Refusal> {
    let (planned, definition) = look(workshop, &asked.definition).await?;
    let digest = asked.digest.parse();
    let digest =
        digest.map_err(|error: wpk_rollout::ParseDigestError| refused(error.to_string()))?;
    if planned.digest != asked.digest {
        return Err(refused(wpk_rollout::NotAsPlanned.to_string()));
    }
    let problems = planned
        .rollouts
        .iter()
        .filter(|one| one.what != PlannedChange::Unchanged);
    let problem = problems.flat_map(|one| one.problems.iter().map(|words| (&one.name, words)));
    if let Some((name, words)) = problem.into_iter().next() {
        return Err(refused(format!("rollout {name} could not start: {words}")));
    }
    let applied = change(workshop, who, |asked| {
        let after = asked.desired.apply(&definition, digest, asked.now);
        let after = after.map_err(|error| error.to_string())?;
        if let Some(sites) = &definition.sites {
            asked.write(asked.book.of_sites(sites))?;
        }
        if let Some(releases) = &definition.releases {
            let kept = KeptReleases {
                defined: Some(releases.clone()),
                ..KeptReleases::clone(&asked.book.releases)
            };
            asked.write(asked.book.of_releases(&kept))?;
        }
        *asked.desired = after;
        for rollout in &definition.rollouts {
            let document = newest(asked.desired, &rollout.name);
            let key = document
                .map_err(|refusal| refusal.detail().to_owned())?
                .key
                .clone();
            let what = match (&rollout.target, &rollout.file) {
                (Some(target), _) => format!("to {target}"),
                (None, file) => format!("file {}", file.as_deref().unwrap_or_default()),
            };
            asked.tell(Some(&key), "applied", &what);
        }
        if definition.rollouts.is_empty() {
            asked.tell(None, "applied", "sites and releases");
        }
        forget(asked);
        Ok(())
    });
    applied.await.map_err(refused)?;
    let listed = super::status::listed(workshop, |document| {
        definition
            .rollouts
            .iter()
            .any(|one| one.name == document.key.name)
    });
    let mut listed = listed.await?;
    // The newest of each name.
    listed.sort_by_key(|one| std::cmp::Reverse(one.order));
    let mut names = std::collections::HashSet::new();
    listed.retain(|one| names.insert(one.name.to_string()));
    Ok(Response::success(
        listed.iter().map(wire::ListedRollout::to_item).collect(),
    ))
}

/// Of each name the newest that are over are kept.
fn forget(asked: &mut crate::rollout::Asked<'_>) {
    let mut of_name: BTreeMap<&Name, Vec<u32>> = BTreeMap::new();
    for over in asked.desired.rollouts.iter().filter(|one| !one.is_live()) {
        of_name
            .entry(&over.key.name)
            .or_default()
            .push(over.key.generation);
    }
    let mut old = Vec::new();
    for (name, mut generations) in of_name {
        generations.sort_unstable_by(|a, b| b.cmp(a));
        old.extend(
            generations
                .into_iter()
                .skip(KEPT)
                .map(|one| (name.clone(), one)),
        );
    }
    let is_old = |one: &Document| old.contains(&(one.key.name.clone(), one.key.generation));
    let keys: Vec<_> = (asked.desired.rollouts.iter())
        .filter(|one| is_old(one))
        .map(|one| one.key.clone())
        .collect();
    asked
        .writes
        .extend(keys.iter().map(|key| asked.book.without(key)));
    asked.desired.rollouts.retain(|one| !is_old(one));
}

pub(super) fn rates(peak: &BTreeMap<Name, u64>) -> Vec<SiteRate> {
    let rate = |(site, rate): (&Name, &u64)| SiteRate {
        site: (&**site).into(),
        bytes_per_second: *rate,
    };
    peak.iter().map(rate).collect()
}

/// Why nothing would end.
fn no_end(played: &Rehearsal) -> Option<wire::Words> {
    if played.ended.is_some() {
        return None;
    }
    let why = played.rollouts.iter().find_map(reason);
    Some(why.unwrap_or_else(|| {
        "a year is not enough: a window never opens, or agents stay away".into()
    }))
}

pub(super) fn assumptions(odds: &Odds) -> Vec<wire::Words> {
    [
        format!(
            "a file of {} bytes goes to an agent at {}",
            odds.file, odds.speed
        ),
        format!("an installation takes {}", odds.install),
        format!("{} of the installations fail", odds.failure_rate),
        format!(
            "{} of the agents are away half of the time; who is away now stays away",
            odds.offline
        ),
    ]
    .into_iter()
    .map(Into::into)
    .collect()
}
