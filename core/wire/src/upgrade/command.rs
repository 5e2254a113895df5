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
    }
}

impl UpgradeCommand {
    /// Whether it creates tasks, so that it must not be sent twice.
    pub const fn creates_tasks(self) -> bool {
        matches!(self, Self::Upgrade | Self::UpgradeCustom)
    }
}
