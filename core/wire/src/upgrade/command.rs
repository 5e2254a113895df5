//! The commands of the upgrade socket.

use crate::word::words;

words! {
    /// A command of the upgrade socket: those of section 2, and our own, which
    /// no 4.x manager knows ([`crate::own`]).
    UpgradeCommand {
        /// Upgrade from a repository.
        Upgrade = "upgrade",
        /// Upgrade from a file.
        UpgradeCustom = "upgrade_custom",
        /// What became of the last task of each agent.
        UpgradeResult = "upgrade_result",
        /// An agent's acknowledgement (section 6).
        UpgradeUpdateStatus = "upgrade_update_status",
        /// Ours: the agents, page by page.
        AgentList = "agent_list",
        /// Ours: a new agent of the embedded manager.
        AgentEnroll = "agent_enroll",
        /// Ours: all that is known of one agent.
        AgentShow = "agent_show",
        /// Ours: an agent's certificate is taken back.
        AgentRevoke = "agent_revoke",
        /// Ours: the same, and the agent is forgotten.
        AgentRemove = "agent_remove",
        /// Ours: an agent gets another name.
        AgentRename = "agent_rename",
        /// Ours: labels of an agent.
        AgentLabel = "agent_label",
        /// Ours: a new enrolment token.
        AgentToken = "agent_token",
        /// Ours: the enrolment tokens.
        AgentTokenList = "agent_token_list",
        /// Ours: an enrolment token is made worthless.
        AgentTokenRevoke = "agent_token_revoke",
        /// Ours: the CA that certifies agents.
        AgentCa = "agent_ca",
        /// Ours: how far deliveries are.
        UpgradeProgress = "upgrade_progress",
        /// Ours: what happened to tasks, step by step.
        UpgradeTimeline = "upgrade_timeline",
        /// Ours: what changed of tasks.
        UpgradeChanges = "upgrade_changes",
        /// Ours: the tasks of all agents, page by page.
        UpgradeTasks = "upgrade_tasks",
        /// Ours: tasks are taken back.
        UpgradeCancel = "upgrade_cancel",
        /// Ours: which versions the repositories have.
        UpgradeVersions = "upgrade_versions",
        /// Ours: what a definition of rollouts would do.
        RolloutPlan = "rollout_plan",
        /// Ours: a definition is applied as it was planned.
        RolloutApply = "rollout_apply",
        /// Ours: the rollouts.
        RolloutList = "rollout_list",
        /// Ours: one rollout as a whole.
        RolloutStatus = "rollout_status",
        /// Ours: the agents of a rollout, page by page.
        RolloutAgents = "rollout_agents",
        /// Ours: one agent in a rollout.
        RolloutExplain = "rollout_explain",
        /// Ours: nothing of a rollout begins.
        RolloutPause = "rollout_pause",
        /// Ours: a rollout goes on.
        RolloutResume = "rollout_resume",
        /// Ours: a rollout is stopped for a reason.
        RolloutHalt = "rollout_halt",
        /// Ours: a rollout ends.
        RolloutCancel = "rollout_cancel",
        /// Ours: agents of a rollout are tried again.
        RolloutRetry = "rollout_retry",
        /// Ours: agents of a rollout are left out.
        RolloutSkip = "rollout_skip",
        /// Ours: how an attempt ended of which no word came.
        RolloutSettle = "rollout_settle",
        /// Ours: what happened to rollouts.
        RolloutHistory = "rollout_history",
        /// Ours: a definition is played through.
        RolloutRehearse = "rollout_rehearse",
        /// Ours: the releases that are known.
        ReleaseList = "release_list",
        /// Ours: a release is never begun again by itself.
        ReleaseDeny = "release_deny",
        /// Ours: a release may be begun again.
        ReleaseAllow = "release_allow",
        /// Ours: no rollout touches these agents.
        AgentHold = "agent_hold",
        /// Ours: agents are held no more.
        AgentUnhold = "agent_unhold",
        /// Ours: the agents that are held.
        AgentHolds = "agent_holds",
        /// Ours: labels of agents that the manager keeps.
        AgentLabels = "agent_labels",
    }
}

impl UpgradeCommand {
    /// Whether it creates tasks, so that it must not be sent twice.
    pub const fn creates_tasks(self) -> bool {
        matches!(self, Self::Upgrade | Self::UpgradeCustom)
    }

    /// Whether it changes a rollout, a release, or what rollouts may do with an agent.
    pub const fn changes_rollouts(self) -> bool {
        matches!(
            self,
            Self::RolloutApply
                | Self::RolloutPause
                | Self::RolloutResume
                | Self::RolloutHalt
                | Self::RolloutCancel
                | Self::RolloutRetry
                | Self::RolloutSkip
                | Self::RolloutSettle
                | Self::ReleaseDeny
                | Self::ReleaseAllow
                | Self::AgentHold
                | Self::AgentUnhold
                | Self::AgentLabels
        )
    }
}
