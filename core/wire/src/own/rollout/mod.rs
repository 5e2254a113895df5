//! Rollouts: what a definition would do, applying it, watching it, and what an operator
//! changes; releases that are denied, and agents that are held.
//!
//! A list in an answer is a page, or has a largest length; a text is [`Words`], which are
//! bounded where they are made. So no answer is longer than 16 MiB, which a test shows of
//! the longest of each. Times are seconds since 1970 UTC.

mod change;
mod explain;
mod history;
mod hold;
mod list;
mod members;
mod plan;
mod read;
mod rehearse;
mod release;
mod state;
mod status;
mod words;

use serde_json::{Map, Value, json};

pub use change::{ChangeRollout, RolloutChange, Which};
pub use explain::{AttemptOfAgent, ExplainAgent, Explained, SiteOfAgent};
pub use history::{AskHistory, HistoryEvent};
pub use hold::{HeldAgent, HoldAgents, LabelAgents, ListHolds, Touched, UnholdAgents};
pub use list::{ListRollouts, ListedRollout};
pub use members::{ListMembers, RolloutMember};
pub use plan::{ApplyRollout, PlanRollout, Planned, PlannedChange, PlannedRollout, PlannedWave};
pub use read::{LONGEST_DEFINITION, LONGEST_NAME, LONGEST_PAGE, LONGEST_REASON, MOST_AGENTS};
pub use rehearse::{
    RehearseRollout, Rehearsed, RehearsedBound, RehearsedEvent, RehearsedRollout, RehearsedWhat,
};
pub use release::{ChangeRelease, ListReleases, ListedRelease};
pub use state::{AgentState, RolloutState, StateCounts};
pub use status::{
    AskRollout, FailedAgent, GateWord, NextEvent, Planner, StatusOfRollout, StatusOfWave,
};
pub use words::{Kind, SiteRate, Tallied, Words};

use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// A request about rollouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutRequest {
    /// `rollout_plan`.
    Plan(PlanRollout),
    /// `rollout_apply`.
    Apply(ApplyRollout),
    /// `rollout_list`.
    List(ListRollouts),
    /// `rollout_status`.
    Status(AskRollout),
    /// `rollout_agents`.
    Members(ListMembers),
    /// `rollout_explain`.
    Explain(ExplainAgent),
    /// `rollout_pause`, `rollout_resume`, `rollout_halt`, `rollout_cancel`,
    /// `rollout_retry`, `rollout_skip`, `rollout_settle`.
    Change(ChangeRollout),
    /// `rollout_history`.
    History(AskHistory),
    /// `rollout_rehearse`.
    Rehearse(RehearseRollout),
    /// `release_list`.
    Releases(ListReleases),
    /// `release_deny`, `release_allow`.
    Release(ChangeRelease),
    /// `agent_hold`.
    Hold(HoldAgents),
    /// `agent_unhold`.
    Unhold(UnholdAgents),
    /// `agent_holds`.
    Holds(ListHolds),
    /// `agent_labels`.
    Labels(LabelAgents),
}

impl RolloutRequest {
    /// The command that asks it.
    pub fn command(&self) -> UpgradeCommand {
        match self {
            Self::Plan(_) => UpgradeCommand::RolloutPlan,
            Self::Apply(_) => UpgradeCommand::RolloutApply,
            Self::List(_) => UpgradeCommand::RolloutList,
            Self::Status(_) => UpgradeCommand::RolloutStatus,
            Self::Members(_) => UpgradeCommand::RolloutAgents,
            Self::Explain(_) => UpgradeCommand::RolloutExplain,
            Self::Change(asked) => asked.command(),
            Self::History(_) => UpgradeCommand::RolloutHistory,
            Self::Rehearse(_) => UpgradeCommand::RolloutRehearse,
            Self::Releases(_) => UpgradeCommand::ReleaseList,
            Self::Release(asked) => asked.command(),
            Self::Hold(_) => UpgradeCommand::AgentHold,
            Self::Unhold(_) => UpgradeCommand::AgentUnhold,
            Self::Holds(_) => UpgradeCommand::AgentHolds,
            Self::Labels(_) => UpgradeCommand::AgentLabels,
        }
    }

    /// Whether it changes something, which root and the daemon's own user alone may.
    pub fn changes(&self) -> bool {
        self.command().changes_rollouts()
    }

    /// Reads the parameters of one of these commands; `None` for all others.
    pub(super) fn read(
        command: UpgradeCommand,
        p: &Map<String, Value>,
    ) -> Option<Result<Self, Refusal>> {
        Some(match command {
            UpgradeCommand::RolloutPlan => PlanRollout::read(p).map(Self::Plan),
            UpgradeCommand::RolloutApply => ApplyRollout::read(p).map(Self::Apply),
            UpgradeCommand::RolloutList => ListRollouts::read(p).map(Self::List),
            UpgradeCommand::RolloutStatus => AskRollout::read(p).map(Self::Status),
            UpgradeCommand::RolloutAgents => ListMembers::read(p).map(Self::Members),
            UpgradeCommand::RolloutExplain => ExplainAgent::read(p).map(Self::Explain),
            UpgradeCommand::RolloutPause => ChangeRollout::pause(p).map(Self::Change),
            UpgradeCommand::RolloutResume => ChangeRollout::resume(p).map(Self::Change),
            UpgradeCommand::RolloutHalt => ChangeRollout::halt(p).map(Self::Change),
            UpgradeCommand::RolloutCancel => ChangeRollout::cancel(p).map(Self::Change),
            UpgradeCommand::RolloutRetry => ChangeRollout::retry(p).map(Self::Change),
            UpgradeCommand::RolloutSkip => ChangeRollout::skip(p).map(Self::Change),
            UpgradeCommand::RolloutSettle => ChangeRollout::settle(p).map(Self::Change),
            UpgradeCommand::RolloutHistory => AskHistory::read(p).map(Self::History),
            UpgradeCommand::RolloutRehearse => RehearseRollout::read(p).map(Self::Rehearse),
            UpgradeCommand::ReleaseList => Ok(Self::Releases(ListReleases {})),
            UpgradeCommand::ReleaseDeny => ChangeRelease::deny(p).map(Self::Release),
            UpgradeCommand::ReleaseAllow => ChangeRelease::allow(p).map(Self::Release),
            UpgradeCommand::AgentHold => HoldAgents::read(p).map(Self::Hold),
            UpgradeCommand::AgentUnhold => UnholdAgents::read(p).map(Self::Unhold),
            UpgradeCommand::AgentHolds => ListHolds::read(p).map(Self::Holds),
            UpgradeCommand::AgentLabels => LabelAgents::read(p).map(Self::Labels),
            _ => return None,
        })
    }

    pub(super) fn parameters(&self) -> Value {
        match self {
            Self::Plan(asked) => json!(asked),
            Self::Apply(asked) => json!(asked),
            Self::List(asked) => json!(asked),
            Self::Status(asked) => json!(asked),
            Self::Members(asked) => json!(asked),
            Self::Explain(asked) => json!(asked),
            Self::Change(asked) => asked.parameters(),
            Self::History(asked) => json!(asked),
            Self::Rehearse(asked) => json!(asked),
            Self::Releases(asked) => json!(asked),
            Self::Release(asked) => asked.parameters(),
            Self::Hold(asked) => json!(asked),
            Self::Unhold(asked) => json!(asked),
            Self::Holds(asked) => json!(asked),
            Self::Labels(asked) => json!(asked),
        }
    }
}

macro_rules! requests {
    ($($asked:ident => $variant:ident,)*) => {$(
        impl From<$asked> for RolloutRequest {
            fn from(asked: $asked) -> Self {
                Self::$variant(asked)
            }
        }
    )*};
}

requests! {
    PlanRollout => Plan,
    ApplyRollout => Apply,
    ListRollouts => List,
    AskRollout => Status,
    ListMembers => Members,
    ExplainAgent => Explain,
    ChangeRollout => Change,
    AskHistory => History,
    RehearseRollout => Rehearse,
    ListReleases => Releases,
    ChangeRelease => Release,
    HoldAgents => Hold,
    UnholdAgents => Unhold,
    ListHolds => Holds,
    LabelAgents => Labels,
}
