//! The planner's words as the wire has them, and rollouts found by their names.

use std::collections::HashMap;

use wpk_api::{AgentId, StoreResult};
use wpk_rollout::{
    Agent, AgentState, Attempt, Counts, Desired, Document, Phase, Plan, RolloutState,
    RolloutStatus, Verdict,
};
use wpk_wire::Refusal;
use wpk_wire::own::rollout as wire;

use super::refusals::refused;
use crate::rollout::{Book, View, view};
use crate::workshop::Workshop;

/// A plan of this moment, and what it was made from.
pub(super) struct Now {
    pub(super) view: View,
    pub(super) book: Book,
    pub(super) plan: Plan,
}

impl Now {
    pub(super) async fn look(workshop: &Workshop) -> StoreResult<Self> {
        let (view, book) = view(workshop).await?;
        let plan = view.plan().await?;
        Ok(Self { view, book, plan })
    }

    /// The newest rollout of a name.
    pub(super) fn rollout(&self, name: &str) -> Result<(&Document, &RolloutStatus), Refusal> {
        let document = newest(&self.view.desired, name)?;
        let status = self
            .plan
            .rollouts
            .iter()
            .find(|one| one.key == document.key);
        let status = status.ok_or_else(|| refused("The planner knows nothing of it"))?;
        Ok((document, status))
    }

    /// What the plan says of each agent of a rollout.
    pub(super) fn verdicts<'a>(
        &'a self,
        document: &'a Document,
    ) -> impl Iterator<Item = &'a Verdict> {
        let mine = |one: &&Verdict| one.rollout.as_deref() == Some(&document.key);
        self.plan.agents.iter().filter(mine)
    }

    /// The newest attempt of each agent in a rollout.
    pub(super) fn newest_attempts(&self, document: &Document) -> HashMap<AgentId, &Attempt> {
        let mut newest: HashMap<AgentId, &Attempt> = HashMap::new();
        let mine = |one: &&Attempt| one.rollout.as_ref() == Some(&document.key);
        for attempt in self.view.attempts.iter().filter(mine) {
            let known = newest.entry(attempt.agent).or_insert(attempt);
            if known.id < attempt.id {
                *known = attempt;
            }
        }
        newest
    }

    pub(super) fn names(&self) -> HashMap<AgentId, &Agent> {
        let agents = self.view.agents.iter();
        agents.map(|agent| (agent.member.id, agent)).collect()
    }
}

/// The newest rollout of a name, also one that is over.
pub(super) fn newest<'a>(desired: &'a Desired, name: &str) -> Result<&'a Document, Refusal> {
    let named = desired.rollouts.iter().filter(|one| &*one.key.name == name);
    named.max_by_key(|one| one.key.generation).ok_or_else(|| {
        let shown = wpk_api::words::clean(name, 64);
        refused(format!(
            "There is no rollout {shown}: `wpkctl rollout list` shows all"
        ))
    })
}

pub(super) fn counts(counts: &Counts) -> wire::StateCounts {
    let wide = |count: usize| count as u64;
    wire::StateCounts {
        current: wide(counts.current),
        excluded: wide(counts.excluded),
        unreachable: wide(counts.unreachable),
        unsupported: wide(counts.unsupported),
        waiting: wide(counts.waiting),
        running: wide(counts.running),
        soaking: wide(counts.soaking),
        succeeded: wide(counts.succeeded),
        failed: wide(counts.failed),
        unknown: wide(counts.unknown),
    }
}

pub(super) fn agent_state(state: AgentState) -> wire::AgentState {
    // They have the same words, which a test holds.
    wire::AgentState::from_word(state.as_str()).unwrap_or_default()
}

/// The state of a rollout as it is stored: a halt that the planner is about to write down
/// stops nothing yet.
pub(super) fn state_of(document: &Document, status: &RolloutStatus) -> wire::RolloutState {
    match (&document.facts.phase, &status.state) {
        (Phase::Running, RolloutState::Halted(_)) => wire::RolloutState::Running,
        (_, state) => rollout_state(state),
    }
}

pub(super) fn rollout_state(state: &RolloutState) -> wire::RolloutState {
    wire::RolloutState::from_word(state.as_str()).unwrap_or_default()
}

/// Why a rollout is halted, or cannot start.
pub(super) fn reason(status: &RolloutStatus) -> Option<wire::Words> {
    match &status.state {
        RolloutState::Halted(reason) => Some(reason.into()),
        _ => status.problems.first().map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_word_on_the_wire() {
        let states = [
            AgentState::Current,
            AgentState::Excluded,
            AgentState::Unreachable,
            AgentState::Unsupported,
            AgentState::Waiting,
            AgentState::Running { hop: 1, of: 1 },
            AgentState::Soaking { until: 1 },
            AgentState::Succeeded,
            AgentState::Failed { tries_left: 0 },
            AgentState::Unknown { until: 1 },
        ];
        for state in states {
            assert_eq!(agent_state(state).as_str(), state.as_str());
        }
        let states = [
            RolloutState::Running,
            RolloutState::Paused,
            RolloutState::Halted(String::new()),
            RolloutState::Converged,
            RolloutState::Superseded,
            RolloutState::Cancelled,
        ];
        for state in states {
            assert_eq!(rollout_state(&state).as_str(), state.as_str());
        }
    }
}
