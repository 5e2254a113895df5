//! Our own commands on the upgrade socket (section 15), which no 4.x manager knows: the list
//! of agents, enrolment, the progress of deliveries, tasks, their timelines and changes, taking
//! tasks back, the versions there are, rollouts, and what a dry run adds to the answer of `upgrade` and `upgrade_custom`.
//!
//! Both ends are here: the tool makes a request and reads the items of its
//! answer, the daemon the other way round. Requests and answers have the shape
//! of section 2; what a command adds to an item stands behind the members of
//! that section. A member that one side does not know is passed over, so that a
//! tool and a daemon of different releases understand each other; for that, a
//! member once sent keeps its name and its type.

pub mod agent_ca;
pub mod agent_change;
pub mod agent_enroll;
pub mod agent_list;
pub mod agent_token;
pub mod dry_run;
pub mod rollout;
pub mod upgrade_cancel;
pub mod upgrade_changes;
pub mod upgrade_progress;
pub mod upgrade_tasks;
pub mod upgrade_timeline;
pub mod upgrade_versions;

use serde_json::{Map, Value, json};

use crate::codes::UpgradeCode;
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

pub use agent_ca::{AskCa, CaState};
pub use agent_change::{ChangeAgent, ShowAgent};
pub use agent_enroll::{EnrollAgent, EnrolledAgent, IncompleteEnrolment};
pub use agent_list::{ListAgents, ListedAgent, ListedDetails, VersionFilter};
pub use agent_token::{IssueToken, ListTokens, ListedToken, NewToken, RevokeToken};
pub use dry_run::Forecast;
pub use rollout::RolloutRequest;
pub use upgrade_cancel::{CancelOutcome, CancelTasks, TakenBack};
pub use upgrade_changes::{AskChanges, FeedPlace, TaskNow, TaskPhase};
pub use upgrade_progress::{AskProgress, Delivery, DeliveryStep};
pub use upgrade_tasks::{ListTasks, ListedTask, NextPage};
pub use upgrade_timeline::{AskTimeline, TaskTimeline, TimelineLine};
pub use upgrade_versions::{AskVersions, Incomplete, ListedVersion};

/// A request of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnRequest {
    /// `agent_list`.
    AgentList(ListAgents),
    /// `agent_enroll`.
    AgentEnroll(EnrollAgent),
    /// `agent_show`.
    AgentShow(ShowAgent),
    /// `agent_revoke`, `agent_remove`, `agent_rename`, `agent_label`.
    AgentChange(ChangeAgent),
    /// `agent_token`.
    AgentToken(IssueToken),
    /// `agent_token_list`.
    AgentTokenList(ListTokens),
    /// `agent_token_revoke`.
    AgentTokenRevoke(RevokeToken),
    /// `agent_ca`.
    AgentCa(AskCa),
    /// `upgrade_progress`.
    UpgradeProgress(AskProgress),
    /// `upgrade_timeline`.
    UpgradeTimeline(AskTimeline),
    /// `upgrade_changes`.
    UpgradeChanges(AskChanges),
    /// `upgrade_tasks`.
    UpgradeTasks(ListTasks),
    /// `upgrade_cancel`.
    UpgradeCancel(CancelTasks),
    /// `upgrade_versions`.
    UpgradeVersions(AskVersions),
    /// Those about rollouts, releases and holds.
    Rollout(RolloutRequest),
}

impl OwnRequest {
    /// The command that asks it.
    pub fn command(&self) -> UpgradeCommand {
        match self {
            Self::AgentList(_) => UpgradeCommand::AgentList,
            Self::AgentEnroll(_) => UpgradeCommand::AgentEnroll,
            Self::AgentShow(_) => UpgradeCommand::AgentShow,
            Self::AgentChange(asked) => asked.command(),
            Self::AgentToken(_) => UpgradeCommand::AgentToken,
            Self::AgentTokenList(_) => UpgradeCommand::AgentTokenList,
            Self::AgentTokenRevoke(_) => UpgradeCommand::AgentTokenRevoke,
            Self::AgentCa(_) => UpgradeCommand::AgentCa,
            Self::UpgradeProgress(_) => UpgradeCommand::UpgradeProgress,
            Self::UpgradeTimeline(_) => UpgradeCommand::UpgradeTimeline,
            Self::UpgradeChanges(_) => UpgradeCommand::UpgradeChanges,
            Self::UpgradeTasks(_) => UpgradeCommand::UpgradeTasks,
            Self::UpgradeCancel(_) => UpgradeCommand::UpgradeCancel,
            Self::UpgradeVersions(_) => UpgradeCommand::UpgradeVersions,
            Self::Rollout(asked) => asked.command(),
        }
    }

    /// Reads the parameters of one of our commands, which may be absent; `None`
    /// for the other commands.
    pub(crate) fn read(
        command: UpgradeCommand,
        parameters: Option<&Value>,
    ) -> Option<Result<Self, Refusal>> {
        let none = Map::new();
        let parameters = match parameters {
            None => Some(&none),
            Some(Value::Object(parameters)) => Some(parameters),
            Some(_) => None,
        };
        let missing = || Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
        let read: fn(&Map<String, Value>) -> Result<Self, Refusal> = match command {
            UpgradeCommand::AgentList => |p| ListAgents::read(p).map(Self::AgentList),
            UpgradeCommand::AgentEnroll => |p| EnrollAgent::read(p).map(Self::AgentEnroll),
            UpgradeCommand::AgentShow => |p| ShowAgent::read(p).map(Self::AgentShow),
            UpgradeCommand::AgentRevoke => |p| ChangeAgent::revoke(p).map(Self::AgentChange),
            UpgradeCommand::AgentRemove => |p| ChangeAgent::remove(p).map(Self::AgentChange),
            UpgradeCommand::AgentRename => |p| ChangeAgent::rename(p).map(Self::AgentChange),
            UpgradeCommand::AgentLabel => |p| ChangeAgent::label(p).map(Self::AgentChange),
            UpgradeCommand::AgentToken => |p| IssueToken::read(p).map(Self::AgentToken),
            UpgradeCommand::AgentTokenList => |_| Ok(Self::AgentTokenList(ListTokens {})),
            UpgradeCommand::AgentTokenRevoke => {
                |p| RevokeToken::read(p).map(Self::AgentTokenRevoke)
            }
            UpgradeCommand::AgentCa => |p| AskCa::read(p).map(Self::AgentCa),
            UpgradeCommand::UpgradeProgress => |p| AskProgress::read(p).map(Self::UpgradeProgress),
            UpgradeCommand::UpgradeTimeline => |p| AskTimeline::read(p).map(Self::UpgradeTimeline),
            UpgradeCommand::UpgradeChanges => |p| AskChanges::read(p).map(Self::UpgradeChanges),
            UpgradeCommand::UpgradeTasks => |p| ListTasks::read(p).map(Self::UpgradeTasks),
            UpgradeCommand::UpgradeCancel => |p| CancelTasks::read(p).map(Self::UpgradeCancel),
            UpgradeCommand::UpgradeVersions => |_| Ok(Self::UpgradeVersions(AskVersions {})),
            UpgradeCommand::Upgrade
            | UpgradeCommand::UpgradeCustom
            | UpgradeCommand::UpgradeResult
            | UpgradeCommand::UpgradeUpdateStatus => return None,
            other => {
                let read = RolloutRequest::read(other, parameters.unwrap_or(&none))?;
                return Some(match parameters {
                    Some(_) => read.map(Self::Rollout),
                    None => missing(),
                });
            }
        };
        Some(parameters.map_or_else(missing, read))
    }

    /// The payload of the request.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let parameters = match self {
            Self::AgentList(asked) => json!(asked),
            Self::AgentEnroll(asked) => json!(asked),
            Self::AgentShow(asked) => json!(asked),
            Self::AgentChange(asked) => asked.parameters(),
            Self::AgentToken(asked) => json!(asked),
            Self::AgentTokenList(asked) => json!(asked),
            Self::AgentTokenRevoke(asked) => json!(asked),
            Self::AgentCa(asked) => json!(asked),
            Self::UpgradeProgress(asked) => json!(asked),
            Self::UpgradeTimeline(asked) => json!(asked),
            Self::UpgradeChanges(asked) => json!(asked),
            Self::UpgradeTasks(asked) => json!(asked),
            Self::UpgradeCancel(asked) => json!(asked),
            Self::UpgradeVersions(asked) => json!(asked),
            Self::Rollout(asked) => asked.parameters(),
        };
        json!({
            "origin": {"module": "api"},
            "command": self.command().as_str(),
            "parameters": parameters,
        })
        .to_string()
        .into_bytes()
    }
}

macro_rules! requests {
    ($($asked:ident => $variant:ident,)*) => {$(
        impl From<$asked> for OwnRequest {
            fn from(asked: $asked) -> Self {
                Self::$variant(asked)
            }
        }
    )*};
}

requests! {
    ListAgents => AgentList,
    EnrollAgent => AgentEnroll,
    ShowAgent => AgentShow,
    ChangeAgent => AgentChange,
    IssueToken => AgentToken,
    ListTokens => AgentTokenList,
    RevokeToken => AgentTokenRevoke,
    AskCa => AgentCa,
    AskProgress => UpgradeProgress,
    AskTimeline => UpgradeTimeline,
    AskChanges => UpgradeChanges,
    ListTasks => UpgradeTasks,
    CancelTasks => UpgradeCancel,
    AskVersions => UpgradeVersions,
}

macro_rules! about_rollouts {
    ($($asked:ident),* $(,)?) => {$(
        impl From<rollout::$asked> for OwnRequest {
            fn from(asked: rollout::$asked) -> Self {
                Self::Rollout(asked.into())
            }
        }
    )*};
}

about_rollouts! {
    PlanRollout,
    ApplyRollout,
    ListRollouts,
    AskRollout,
    ListMembers,
    ExplainAgent,
    ChangeRollout,
    AskHistory,
    RehearseRollout,
    ListReleases,
    ChangeRelease,
    HoldAgents,
    UnholdAgents,
    ListHolds,
    LabelAgents,
}
