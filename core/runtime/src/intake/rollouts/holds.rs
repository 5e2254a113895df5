//! `agent_hold`, `agent_unhold`, `agent_holds`, `agent_labels`.

use std::collections::{BTreeMap, HashSet};

use tracing::warn;
use wpk_api::manage::MOST_LABELS;
use wpk_api::{
    AgentId, AttemptChange, AttemptWrite, DocumentWrite, Labels, StoreResult, TaskId, TaskStore,
};
use wpk_wire::own::rollout::{
    HeldAgent, HoldAgents, LabelAgents, ListHolds, Touched, UnholdAgents,
};
use wpk_wire::{Refusal, Response};

use super::refusals::{of_store, refused};
use crate::rollout::{Asked, Book, Hold, Who, change, view};
use crate::workshop::Workshop;

/// The most agents that are held, or have labels of ours.
const MOST: usize = 200_000;

/// Answers `agent_hold`. What was not begun of these agents is taken back.
pub(super) async fn hold(
    workshop: &Workshop,
    who: &Who,
    asked: HoldAgents,
) -> Result<Response, Refusal> {
    let (known, not_known) = known(workshop, &asked.agents).await?;
    let words = format!("{}: {}", shown(&known), asked.reason);
    let changed = change(workshop, who, |now| {
        let mut holds = BTreeMap::clone(&now.book.holds);
        let before = holds.len();
        for agent in &known {
            holds.entry(*agent).or_insert_with(|| Hold {
                reason: asked.reason.clone(),
                who: now.who.to_owned(),
                at: now.now,
            });
        }
        let changed = holds.len() - before;
        bounded(&holds, "may be held; leave agents out by a selector")?;
        written(now, changed, Book::of_holds, &holds, ("held", &words))
    });
    let changed = changed.await.map_err(refused)?;
    take_back(workshop, &known).await;
    touched(changed, not_known)
}

/// What was not begun of held agents is taken back at once. Where that cannot be done the
/// planner does it at its next look.
async fn take_back(workshop: &Workshop, agents: &[AgentId]) {
    if let Err(error) = taken_back(workshop.store(), agents).await {
        warn!(%error, "what waits for held agents cannot be taken back; the planner does it");
    }
}

async fn taken_back(store: &dyn TaskStore, agents: &[AgentId]) -> StoreResult<()> {
    let newest = store.latest(agents).await?.into_iter().flatten();
    let live = newest.filter(|task| task.status.is_live());
    let ids: Vec<TaskId> = live.map(|task| task.id).collect();
    // What somebody asked for by hand goes on.
    let attempts = store.attempts_of(&ids).await?.into_iter().flatten();
    let writes = attempts.map(|attempt| AttemptWrite {
        task: attempt.task.id,
        change: AttemptChange::Cancel("its agent is held".to_owned()),
    });
    store.write_attempts(writes.collect(), None).await.map(drop)
}

/// Answers `agent_unhold`.
pub(super) async fn unhold(
    workshop: &Workshop,
    who: &Who,
    asked: UnholdAgents,
) -> Result<Response, Refusal> {
    let changed = change(workshop, who, |now| {
        let mut holds = BTreeMap::clone(&now.book.holds);
        let before = holds.len();
        asked.agents.iter().for_each(|agent| {
            holds.remove(agent);
        });
        let changed = before - holds.len();
        let words = shown(&asked.agents);
        written(now, changed, Book::of_holds, &holds, ("let go", &words))
    });
    touched(changed.await.map_err(refused)?, Vec::new())
}

/// Answers `agent_holds`.
pub(super) async fn list(workshop: &Workshop, asked: ListHolds) -> Result<Response, Refusal> {
    let (view, book) = view(workshop).await.map_err(of_store)?;
    let names: BTreeMap<AgentId, Option<&String>> = (view.agents.iter())
        .map(|agent| (agent.member.id, agent.member.name.as_ref()))
        .collect();
    let after = |agent: &AgentId| asked.after.is_none_or(|after| *agent > after);
    let held = book.holds.iter().filter(|(agent, _)| after(agent));
    let items = held.take(asked.page()).map(|(agent, hold)| {
        let held = HeldAgent {
            agent: *agent,
            name: names.get(agent).copied().flatten().map(Into::into),
            reason: (&hold.reason).into(),
            since: Some(hold.at),
            who: Some((&hold.who).into()),
        };
        held.to_item()
    });
    Ok(Response::success(items.collect()))
}

/// Answers `agent_labels`.
pub(super) async fn labels(
    workshop: &Workshop,
    who: &Who,
    asked: LabelAgents,
) -> Result<Response, Refusal> {
    let (known, not_known) = known(workshop, &asked.agents).await?;
    let changed = change(workshop, who, |now| {
        let mut labels = BTreeMap::clone(&now.book.labels);
        let mut changed = 0;
        for agent in &known {
            let before = labels.get(agent).cloned().unwrap_or_default();
            let after = labelled(*agent, &before, &asked)?;
            changed += usize::from(before != after);
            match after.is_empty() {
                true => labels.remove(agent),
                false => labels.insert(*agent, after),
            };
        }
        bounded(&labels, "may have labels of the manager's store")?;
        let words = shown(&known);
        written(now, changed, Book::of_labels, &labels, ("labelled", &words))
    });
    touched(changed.await.map_err(refused)?, not_known)
}

/// One entry for each agent, of which there may be so many.
fn bounded<T>(entries: &BTreeMap<AgentId, T>, words: &str) -> Result<(), String> {
    match entries.len() > MOST {
        true => Err(format!("{MOST} agents {words}")),
        false => Ok(()),
    }
}

/// Writes the entries of agents and tells the history, where so many of them changed.
fn written<T>(
    now: &mut Asked<'_>,
    changed: usize,
    write: fn(&Book, &BTreeMap<AgentId, T>) -> StoreResult<DocumentWrite>,
    entries: &BTreeMap<AgentId, T>,
    (what, words): (&str, &str),
) -> Result<usize, String> {
    if changed > 0 {
        now.write(write(now.book, entries))?;
        now.tell(None, what, words);
    }
    Ok(changed)
}

fn labelled(agent: AgentId, before: &Labels, asked: &LabelAgents) -> Result<Labels, String> {
    let mut after = before.clone();
    after.extend(asked.set.clone());
    asked.remove.iter().for_each(|key| {
        after.remove(key);
    });
    match after.len() > MOST_LABELS {
        true => Err(format!(
            "agent {agent} would have more than {MOST_LABELS} labels"
        )),
        false => Ok(after),
    }
}

/// Those that the directory knows, and those that it does not.
async fn known(
    workshop: &Workshop,
    agents: &[AgentId],
) -> Result<(Vec<AgentId>, Vec<AgentId>), Refusal> {
    let mut asked = agents.to_vec();
    asked.sort_unstable();
    asked.dedup();
    let found = workshop.parts.directory.lookup(&asked).await;
    let found = found.map_err(|error| refused(error.to_string()))?;
    let found: HashSet<AgentId> = found.into_iter().map(|agent| agent.id).collect();
    Ok(asked.into_iter().partition(|agent| found.contains(agent)))
}

pub(super) fn shown(agents: &[AgentId]) -> String {
    let some: Vec<String> = agents.iter().take(20).map(ToString::to_string).collect();
    match agents.len().saturating_sub(some.len()) {
        0 => format!("agents {}", some.join(", ")),
        more => format!("agents {} and {more} more", some.join(", ")),
    }
}

fn touched(changed: usize, not_known: Vec<AgentId>) -> Result<Response, Refusal> {
    let touched = Touched {
        changed: changed as u64,
        not_known,
    };
    Ok(Response::success(vec![touched.to_item()]))
}
