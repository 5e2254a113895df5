//! The places of the protocol, each written once: relative paths inside `DIR`,
//! the `home` of the settings (`/var/ossec` beside a 4.x manager or agent).
//!
//! Several parts must agree on each of them: the side that serves a socket, the
//! side that calls it, and the tool that looks whether it is there. They are the
//! defaults of settings with the same meaning; who has settings asks them.

/// The upgrade socket of a manager (PROTOCOL.md, section 2).
pub const UPGRADE_SOCKET: &str = "queue/tasks/upgrade";

/// The task socket of a master node (section 3).
pub const TASK_SOCKET: &str = "queue/tasks/task";

/// The database with our tasks (section 3).
pub const TASK_DATABASE: &str = "var/wpkd/tasks.db";

/// The database with the task table of a 4.x manager (sections 3 and 14). The first
/// release kept our tasks in it.
pub const MANAGER_TASK_DATABASE: &str = "queue/tasks/tasks.db";

/// The remote daemon of a 4.x manager, which reaches its agents (section 5).
pub const REMOTE_SOCKET: &str = "queue/sockets/remote";

/// The database daemon of a 4.x manager, which knows its agents (section 9).
pub const DATABASE_SOCKET: &str = "queue/db/wdb";

/// The cluster daemon of a 4.x node, by which a worker reaches the task manager
/// of the master (section 10).
pub const CLUSTER_SOCKET: &str = "queue/cluster/c-internal.sock";

/// Where a manager keeps downloaded WPKs (section 4), and where an agent
/// unpacks them and runs their installer (section 7).
pub const UPGRADE_FOLDER: &str = "var/upgrade";

/// What a crash of the manager daemon leaves, for its next start.
pub const CRASH_REPORT: &str = "var/wpkd/crash";

/// The report of the last crash, kept for people.
pub const LAST_CRASH_REPORT: &str = "var/wpkd/crash.last";

/// The upgrade socket of an agent (section 7).
pub const AGENT_SOCKET: &str = "queue/sockets/upgrade";

/// The datagram socket by which acknowledgements leave an agent (section 6).
pub const AGENT_QUEUE: &str = "queue/sockets/queue";

/// Where WPKs arrive at an agent (section 7).
pub const INCOMING_FOLDER: &str = "var/incoming";

/// What an installer leaves at its end: `0`, `1` or `2` (sections 6 and 7).
pub const UPGRADE_RESULT: &str = "var/upgrade/upgrade_result";

/// The CA that WPKs chain to, on agents and on 4.x managers (section 8).
pub const CA_STORE: &str = "etc/wpk_root.pem";

/// Keys and certificates of the embedded manager's agent channel: on the
/// manager the CA's and its own, on an agent the three files below.
pub const CHANNEL_FOLDER: &str = "etc/channel";

/// The certificate of the CA of the channel, on an agent.
pub const CHANNEL_CA: &str = "etc/channel/ca.pem";

/// The certificate of an agent on the channel.
pub const CHANNEL_CERTIFICATE: &str = "etc/channel/agent.pem";

/// The key to it, mode 0600.
pub const CHANNEL_KEY: &str = "etc/channel/agent.key";

/// The settings of an agent that `wpkctl agent enroll` made.
pub const AGENT_SETTINGS: &str = "etc/wpk-agent.toml";

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn files_lie_in_their_folders() {
        for (file, folder) in [
            (UPGRADE_RESULT, UPGRADE_FOLDER),
            (CHANNEL_CA, CHANNEL_FOLDER),
            (CHANNEL_CERTIFICATE, CHANNEL_FOLDER),
            (CHANNEL_KEY, CHANNEL_FOLDER),
        ] {
            assert_eq!(Path::new(file).parent(), Some(Path::new(folder)), "{file}");
        }
    }
}
