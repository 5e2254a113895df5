//! The commands of the task socket.

use crate::word::words;

words! {
    /// A command of the task socket (section 3).
    TaskCommand {
        /// A new task that upgrades from a repository.
        Upgrade = "upgrade",
        /// A new task that upgrades from a file.
        UpgradeCustom = "upgrade_custom",
        /// The stored status of the last task of each agent.
        UpgradeGetStatus = "upgrade_get_status",
        /// A task moves on.
        UpgradeUpdateStatus = "upgrade_update_status",
        /// The whole last task of each agent.
        UpgradeResult = "upgrade_result",
        /// Pending tasks of a node become Cancelled.
        UpgradeCancelTasks = "upgrade_cancel_tasks",
    }
}
