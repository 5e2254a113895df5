//! `rollout_pause`, `_resume`, `_halt`, `_cancel`, `_retry`, `_skip`, `_settle`.

use std::collections::HashMap;

use wpk_api::{AgentId, TaskId};
use wpk_rollout::{AgentState, Document, Settled};
use wpk_wire::own::rollout::{ChangeRollout, ListedRollout, RolloutChange, Which};
use wpk_wire::{Refusal, Response};

use super::refusals::{of_store, refused};
use super::shown::{Now, newest};
use super::status::listed;
use crate::rollout::Who;
use crate::workshop::Workshop;

/// Carries it out, and answers with the rollout as it is then.
pub(super) async fn change(
    workshop: &Workshop,
    who: &Who,
    asked: ChangeRollout,
) -> Result<Response, Refusal> {
    let ChangeRollout { name, change } = asked;
    let aim = aim(workshop, &name, &change).await?;
    let changed = crate::rollout::change(workshop, who, |asked| {
        let key = newest(asked.desired, &name).map_err(|refusal| refusal.detail().to_owned())?;
        let key = key.key.clone();
        let mut rollouts = asked.desired.rollouts.iter_mut();
        let document = rollouts.find(|one| one.key == key).ok_or("it is gone")?;
        let (what, words) =
            carry_out(document, &change, &aim).map_err(|error| error.to_string())?;
        asked.tell(Some(&key), what, &words);
        Ok(key)
    });
    let key = changed.await.map_err(refused)?;
    let listed = listed(workshop, |document| document.key == key).await?;
    let items = listed.into_iter().map(|one| {
        let changed = aim.agents.as_ref().map(|agents| agents.len() as u64);
        ListedRollout { changed, ..one }.to_item()
    });
    Ok(Response::success(items.collect()))
}

/// What must be known of tasks first.
#[derive(Default)]
struct Aim {
    /// The agents that are named, or that failed.
    agents: Option<Vec<AgentId>>,
    /// Their newest tasks, of which the highest.
    last: Option<TaskId>,
    /// The attempt that is settled.
    attempt: Option<TaskId>,
}

async fn aim(workshop: &Workshop, name: &str, change: &RolloutChange) -> Result<Aim, Refusal> {
    let agents = match change {
        RolloutChange::Retry(Which::Agents(agents)) | RolloutChange::Skip(agents) => agents.clone(),
        RolloutChange::Retry(Which::Failed) | RolloutChange::Settle { .. } => Vec::new(),
        _ => return Ok(Aim::default()),
    };
    let now = Now::look(workshop).await.map_err(of_store)?;
    let (document, _) = now.rollout(name)?;
    let mine: HashMap<AgentId, AgentState> = now
        .verdicts(document)
        .map(|one| (one.agent, one.state))
        .collect();
    let agents = match change {
        RolloutChange::Retry(Which::Failed) => {
            let failed = mine
                .iter()
                .filter(|(_, state)| matches!(state, AgentState::Failed { .. }));
            let mut failed: Vec<AgentId> = failed.map(|(agent, _)| *agent).collect();
            failed.sort_unstable();
            failed
        }
        RolloutChange::Settle { agent, .. } => vec![*agent],
        _ => agents,
    };
    if let Some(stranger) = agents.iter().find(|agent| !mine.contains_key(agent)) {
        return Err(super::status::not_in(*stranger, name));
    }
    let newest = now.newest_attempts(document);
    let last = now.view.attempts.iter().map(|one| one.id).max();
    let attempt = match change {
        RolloutChange::Settle { agent, .. } => {
            let attempt = newest.get(agent).filter(|attempt| attempt.begun.is_some());
            let attempt = attempt.ok_or_else(|| {
                refused(format!("No installer of agent {agent} was begun in rollout {name}: there is nothing to settle"))
            })?;
            Some(attempt.id)
        }
        _ => None,
    };
    Ok(Aim {
        agents: Some(agents),
        last,
        attempt,
    })
}

/// What the history is told of it.
fn carry_out(
    document: &mut Document,
    change: &RolloutChange,
    aim: &Aim,
) -> Result<(&'static str, String), wpk_rollout::Refused> {
    let agents = aim.agents.as_deref().unwrap_or_default();
    Ok(match change {
        RolloutChange::Pause => {
            document.pause()?;
            ("paused", String::new())
        }
        RolloutChange::Resume => {
            document.resume()?;
            ("resumed", String::new())
        }
        RolloutChange::Halt(reason) => {
            let words = match reason.as_str() {
                "" => "an operator halted it",
                reason => reason,
            };
            document.halt(words)?;
            ("halted", words.to_owned())
        }
        RolloutChange::Cancel => {
            document.cancel()?;
            ("cancelled", String::new())
        }
        RolloutChange::Retry(_) => {
            document.retry(agents, aim.last.unwrap_or(TaskId(0)))?;
            ("retried", super::holds::shown(agents))
        }
        RolloutChange::Skip(_) => {
            document.skip(agents)?;
            ("skipped", super::holds::shown(agents))
        }
        RolloutChange::Settle { agent, succeeded } => {
            if let Some(attempt) = aim.attempt {
                document.settle(
                    *agent,
                    Settled {
                        attempt,
                        succeeded: *succeeded,
                    },
                )?;
            }
            let how = if *succeeded { "succeeded" } else { "failed" };
            ("settled", format!("agent {agent} {how}"))
        }
    })
}
