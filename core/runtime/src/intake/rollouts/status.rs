//! `rollout_list` and `rollout_status`.

use wpk_api::{AgentId, UnixTime};
use wpk_rollout::{
    AgentState, Attempt, Document, Gate, Outcome, Reason, RolloutStatus, WaveStatus,
};
use wpk_wire::own::rollout as wire;
use wpk_wire::own::rollout::{
    AskRollout, FailedAgent, GateWord, ListRollouts, ListedRollout, NextEvent, Planner,
    StatusOfRollout, StatusOfWave, Tallied,
};
use wpk_wire::{Refusal, Response};

use super::refusals::of_store;
use super::shown::{Now, counts, reason, state_of};
use crate::workshop::Workshop;

/// Answers `rollout_list`: the one that was applied last first.
pub(super) async fn list(workshop: &Workshop, asked: ListRollouts) -> Result<Response, Refusal> {
    let mut listed = listed(workshop, |document| asked.all || document.is_live()).await?;
    listed.retain(|one| asked.before.is_none_or(|before| one.order < before));
    listed.sort_by_key(|one| std::cmp::Reverse((one.order, one.generation)));
    listed.truncate(asked.page());
    Ok(Response::success(
        listed.iter().map(ListedRollout::to_item).collect(),
    ))
}

/// Those among the rollouts.
pub(super) async fn listed(
    workshop: &Workshop,
    which: impl Fn(&Document) -> bool,
) -> Result<Vec<ListedRollout>, Refusal> {
    let now = Now::look(workshop).await.map_err(of_store)?;
    let documents = now.view.desired.rollouts.iter().filter(|one| which(one));
    Ok(documents
        .filter_map(|document| {
            let status = now
                .plan
                .rollouts
                .iter()
                .find(|one| one.key == document.key)?;
            Some(item(document, status))
        })
        .collect())
}

fn item(document: &Document, status: &RolloutStatus) -> ListedRollout {
    let definition = &document.definition;
    let open = document.facts.waves.len().checked_sub(1);
    let wave = open.and_then(|open| definition.waves.get(open));
    ListedRollout {
        name: (&*document.key.name).into(),
        generation: document.key.generation,
        order: document.order,
        state: state_of(document, status),
        reason: reason(status),
        target: definition.target.map(|target| target.to_string().into()),
        file: definition.file.as_ref().map(Into::into),
        applied: document.facts.applied,
        wave: wave.map(|wave| (&*wave.name).into()),
        counts: counts(&status.counts),
        overdue: status.overdue.map(|left| left as u64),
        changed: None,
    }
}

/// Answers `rollout_status`.
pub(super) async fn status(workshop: &Workshop, asked: AskRollout) -> Result<Response, Refusal> {
    let now = Now::look(workshop).await.map_err(of_store)?;
    let (document, status) = now.rollout(&asked.name)?;
    let definition = &document.definition;
    let mut failures = failures(&now, document);
    let causes = Tallied::new(tally(&failures));
    failures.sort_by_key(|one| std::cmp::Reverse((one.at, one.agent)));
    failures.truncate(asked.failures());
    for failure in &mut failures {
        say_cause(workshop, failure).await;
    }
    let deadline = definition.deadline.map(|span| {
        let seconds = i64::try_from(span.0.as_secs()).unwrap_or(i64::MAX);
        document.start().saturating_add(seconds)
    });
    let told = StatusOfRollout {
        name: (&*document.key.name).into(),
        generation: document.key.generation,
        state: state_of(document, status),
        reason: reason(status),
        target: definition.target.map(|target| target.to_string().into()),
        file: definition.file.as_ref().map(Into::into),
        applied: document.facts.applied,
        starts: Some(document.start()).filter(|start| *start > document.facts.applied),
        deadline,
        overdue: status.overdue.map(|left| left as u64),
        counts: counts(&status.counts),
        waves: (status.waves.iter().enumerate())
            .map(|(number, wave)| of_wave(document, number, wave))
            .collect(),
        failures,
        causes,
        next: next(&now, document),
        problems: status.problems.iter().map(Into::into).collect(),
        elsewhere: Tallied::new(
            status
                .elsewhere
                .iter()
                .map(|(name, agents)| (&**name, *agents)),
        ),
        planner: planner(workshop, &now),
        now: now.view.now,
    };
    Ok(Response::success(vec![told.to_item()]))
}

fn of_wave(document: &Document, number: usize, status: &WaveStatus) -> StatusOfWave {
    let definition = document.definition.waves.get(number);
    let opened = document.facts.waves.get(number);
    let (gate, gate_words) = match &status.gate {
        Gate::NotOpen => (GateWord::NotOpen, ""),
        Gate::Passed => (GateWord::Passed, ""),
        Gate::Passes(why) => (GateWord::Passes, why.as_str()),
        Gate::Waits(why) => (GateWord::Waits, why.as_str()),
        Gate::Exceeded(why) => (GateWord::Exceeded, why.as_str()),
    };
    let tally = &status.tally;
    StatusOfWave {
        name: (&*status.name).into(),
        members: tally.members as u64,
        counts: counts(&tally.counts),
        begun: tally.begun as u64,
        failed: tally.failed as u64,
        may_fail: status.may_fail as u64,
        strict: definition.is_some_and(|wave| wave.strict),
        gate,
        gate_words: gate_words.into(),
        opened: opened.map(|wave| wave.opened),
        passed: opened.and_then(|wave| wave.passed),
        soak: definition.map_or(0, |wave| wave.soak.0.as_secs()),
    }
}

/// Agents that failed, and those that wait for another try.
fn failures(now: &Now, document: &Document) -> Vec<FailedAgent> {
    let (newest, names) = (now.newest_attempts(document), now.names());
    let failed = now.verdicts(document).filter_map(|verdict| {
        let (tries_left, cause) = match (verdict.state, &verdict.reason) {
            (AgentState::Failed { tries_left }, reason) => (tries_left, reason.to_string()),
            (AgentState::Waiting, Reason::Retry(_, cause)) => (1, cause.to_string()),
            _ => return None,
        };
        let attempt = newest.get(&verdict.agent);
        let known = names.get(&verdict.agent);
        let wave = verdict
            .wave
            .and_then(|wave| document.definition.waves.get(wave));
        Some(FailedAgent {
            agent: verdict.agent,
            name: known.and_then(|agent| agent.member.name.as_ref().map(Into::into)),
            wave: wave.map(|wave| (&*wave.name).into()),
            at: attempt.and_then(|attempt| ended(attempt)),
            cause: cause.into(),
            tries_left,
            task_id: attempt.map(|attempt| attempt.id),
        })
    });
    failed.collect()
}

fn ended(attempt: &Attempt) -> Option<UnixTime> {
    attempt.end.as_ref().map(|(at, _)| *at)
}

fn tally(failures: &[FailedAgent]) -> Vec<(&str, usize)> {
    let mut causes = std::collections::BTreeMap::new();
    for failure in failures {
        *causes.entry(&*failure.cause).or_insert(0usize) += 1;
    }
    causes.into_iter().collect()
}

/// The text of a task is the documented one; what was said is in its timeline.
async fn say_cause(workshop: &Workshop, failure: &mut FailedAgent) {
    let Some(task) = failure.task_id else { return };
    let Ok(timeline) = workshop.store().timeline(task).await else {
        return;
    };
    let last = timeline
        .iter()
        .rev()
        .find_map(|entry| entry.failure.as_ref());
    let last = last.map(|cause| cause.said.clone());
    let Some(words) = last else { return };
    // Who said it may have begun with the documented text.
    let (known, said) = (failure.cause.to_lowercase(), words.to_lowercase());
    if said.starts_with(&known) {
        failure.cause = words.into();
    } else if !known.contains(&said) {
        failure.cause = format!("{}: {words}", failure.cause).into();
    }
}

/// What happens next by itself.
fn next(now: &Now, document: &Document) -> Option<NextEvent> {
    let mut soonest: Option<NextEvent> = None;
    let mut consider = |at: UnixTime, what: &dyn Fn() -> String| {
        if at > now.view.now && soonest.as_ref().is_none_or(|known| at < known.at) {
            let what = what().into();
            soonest = Some(NextEvent { at, what });
        }
    };
    for verdict in now.verdicts(document) {
        let agent = verdict.agent;
        match (verdict.state, &verdict.reason) {
            (_, Reason::Start(at)) => consider(*at, &|| "the rollout starts".to_owned()),
            (_, Reason::Window(site, Some(at))) => {
                consider(*at, &|| format!("the window of site {site} opens"));
            }
            (_, Reason::Retry(at, _)) => consider(*at, &|| format!("agent {agent} is tried again")),
            (AgentState::Soaking { until }, _) => {
                consider(until, &|| format!("the soak of agent {agent} ends"));
            }
            (AgentState::Unknown { until }, _) => {
                consider(until, &|| {
                    format!("agent {agent} counts as failed if no word comes")
                });
            }
            _ => {}
        }
    }
    soonest
}

fn planner(workshop: &Workshop, now: &Now) -> Planner {
    let health = workshop.rollouts.health();
    let planner = now.book.planner.as_ref();
    let ours = planner.is_some_and(|planner| planner.node == workshop.node());
    let ago = health.planned.map(|planned| planned.elapsed().as_secs());
    let planned = ago.and_then(|ago| Some(now.view.now - i64::try_from(ago).ok()?));
    Planner {
        node: planner.map(|planner| (&planner.node).into()),
        planned: planned.filter(|_| ours),
        // Nobody has carried out what is to be done for a while.
        stale_since: planned
            .filter(|at| ours && !now.plan.actions.is_empty() && now.view.now - at > 5),
        trouble: health.trouble.as_ref().map(Into::into),
    }
}

/// How an attempt stands or ended, in words.
pub(super) fn outcome(attempt: &Attempt) -> String {
    match (&attempt.end, attempt.begun) {
        (None, Some(_)) => "its installer was begun; its word is awaited".into(),
        (None, None) if attempt.permit.is_none() => "it waits for leave to begin".into(),
        (None, None) => "it may begin".into(),
        (Some((_, Outcome::Succeeded)), _) => "the agent reported success".into(),
        (Some((_, Outcome::Failed(said))), _) => format!("failed: {said}"),
        (Some((_, Outcome::NoFile(said))), _) => format!("its file could not be had: {said}"),
        (Some((_, Outcome::Unconfirmed(seen))), _) => {
            format!("the agent reported success, but runs {seen}")
        }
        (Some((_, Outcome::Silent)), _) => "no word came within the task's time-out".into(),
        (Some((_, Outcome::Legacy)), _) => "sent; its version never reports".into(),
        (Some((_, Outcome::Cancelled)), _) => "taken back before its installer was begun".into(),
    }
}

/// Of an agent in no rollout of this name.
pub(super) fn not_in(agent: AgentId, name: &str) -> Refusal {
    let name = wpk_api::words::clean(name, 64);
    super::refusals::refused(format!("Agent {agent} is not in rollout {name}"))
}

/// A text of the wire.
pub(super) fn words(text: Option<&String>) -> Option<wire::Words> {
    text.map(Into::into)
}
