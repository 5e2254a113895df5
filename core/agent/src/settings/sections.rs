//! The sections of the settings file with their defaults (section 11 of the
//! protocol reference for those of `[upgrade]`). What is written here of each key is what
//! wpk-agent.toml(5) says (`reference`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wpk_api::paths;
use wpk_api::settings::{ByteSize, Span};

/// The DNS name in the certificate of every embedded manager.
pub const MANAGER_NAME: &str = "wpkd-manager";

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DIR` of the protocol reference; it exists.
    pub home: PathBuf,
    /// `[upgrade]`.
    pub upgrade: UpgradeSettings,
    /// `[agent]`.
    pub agent: AgentSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[listen]`; absent: no listener.
    pub listen: Option<ListenSettings>,
    /// `[channel]`; absent: no channel.
    pub channel: Option<ChannelSettings>,
}

/// What 4.x agents have in `<agent-upgrade>`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpgradeSettings {
    /// Whether upgrades are allowed at all. A manager that takes a result
    /// (`clear_upgrade_result`) allows them again, as in 4.x agents.
    pub enabled: bool,
    /// The first pause between reports of a result until the manager has taken it, 1ms to
    /// 366d.
    pub notification_wait_start: Span,
    /// The longest of these pauses; at least `notification_wait_start`, at most 366d.
    pub notification_wait_max: Span,
    /// What each of these pauses is multiplied with to get the next: above 1, at most 100.
    #[schemars(extend("unit" = "times the pause before"))]
    pub notification_wait_factor: f64,
    /// For how long an installer's result is looked for closely (`result_check`) after a
    /// start and after an installer ended; afterwards it is looked for once in such a time.
    /// 1ms to 366d.
    pub result_wait: Span,
    /// The pause between two looks for a result while it is looked for closely
    /// (`result_wait`), 1ms to 366d.
    pub result_check: Span,
    /// How long a result may be empty or say nothing before the upgrade is reported as
    /// failed, 1ms to 366d.
    pub result_grace: Span,
    /// How long an installer that leaves no result holds back the next upgrade while
    /// anything of it runs, 1ms to 366d.
    pub result_within: Span,
    /// The time limit of an installer, up to the end of its first process, 1ms to 366d;
    /// what it does in the background has no such limit. A manager waits 75s for the answer.
    pub execution_timeout: Span,
    /// `[upgrade.ca_verification]`.
    #[serde(skip)]
    pub ca_verification: CaVerification,
}

impl Default for UpgradeSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            notification_wait_start: Span::seconds(30),
            notification_wait_max: Span::seconds(3600),
            notification_wait_factor: 2.0,
            result_wait: Span::seconds(30),
            result_check: Span::seconds(1),
            result_grace: Span::seconds(60),
            result_within: Span::seconds(30 * 60),
            execution_timeout: Span::seconds(60),
            ca_verification: CaVerification::default(),
        }
    }
}

/// Whose packages are run. Whoever holds a key that is trusted here can run anything on this
/// machine.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaVerification {
    /// Whether the signer of a package must chain to a CA of `ca_store`. Without it a package
    /// of anybody is run that reaches the agent.
    pub enabled: bool,
    /// Files and folders of CA certificates, PEM.
    pub ca_store: Vec<PathBuf>,
}

impl Default for CaVerification {
    fn default() -> Self {
        Self {
            enabled: true,
            ca_store: vec![PathBuf::from(paths::CA_STORE)],
        }
    }
}

/// What the agent tells its manager, which chooses packages by it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// The agent's version, such as v4.14.0, which stands in where `version_file` cannot be
    /// read. Absent: only the file tells it.
    pub version: Option<String>,
    /// A file whose first line is the version, read at each connect. Absent: `VERSION` in the
    /// home, where `version` is not given. The package sets /usr/share/wpk-agent/VERSION,
    /// which an upgrade replaces with the program.
    pub version_file: Option<PathBuf>,
    /// The system: ubuntu, rhel, and so on. Absent: `ID` of /etc/os-release.
    pub platform: Option<String>,
    /// The system's version as a text. Absent: `VERSION` of /etc/os-release.
    pub os_version: Option<String>,
    /// The first part of the system's version. Absent: that of `VERSION_ID` of
    /// /etc/os-release.
    pub os_major: Option<String>,
    /// The second part of the system's version. Absent: that of `VERSION_ID` of
    /// /etc/os-release.
    pub os_minor: Option<String>,
    /// The architecture: x86_64, aarch64, and so on. Absent: this program's.
    pub arch: Option<String>,
}

/// Bounds on what a manager or a package may make the agent hold.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most bytes of all files in var/incoming, 1B to 4294967296GiB.
    pub incoming: ByteSize,
    /// The most bytes of an unpacked package, 1B to 4294967296GiB.
    pub unpacked: ByteSize,
    /// The most files in a package; at least 1, no upper limit.
    #[schemars(extend("unit" = "files"))]
    pub entries: usize,
    /// The most bytes of a name in a package; at least 1, no upper limit.
    #[schemars(extend("unit" = "bytes"))]
    pub name: usize,
    /// The most bytes of the certificates in a package, 1B to 4294967296GiB.
    pub certificate: ByteSize,
    /// The most bytes of logs/wpk-installer.log, 4KiB to 4294967296GiB.
    pub installer_log: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            incoming: ByteSize(4 << 30),
            unpacked: ByteSize(2 << 30),
            entries: 20_000,
            name: 1_024,
            certificate: ByteSize(64 << 10),
            installer_log: ByteSize(8 << 20),
        }
    }
}

/// The place beside the daemon of a 4.x agent, in whose home (/var/ossec) this one then
/// works: commands of its manager come in there. Without this section nothing is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// The socket where commands come in; its path has at most 107 bytes.
    pub socket: PathBuf,
    /// Whether the socket of the agent daemon's own upgrade module is pushed aside (to
    /// `.upgrade.builtin` in the same folder) and given back at the end. The module binds
    /// its socket at each start of the daemon, also with `enabled` no. After a kill `wpk-agent
    /// give-back` gives it back; the unit calls it.
    pub take_over: bool,
    /// The socket where results go as datagrams; its path has at most 107 bytes.
    pub queue: PathBuf,
    /// Group of the socket, a name of /etc/group or a number. Absent: left as created.
    pub group: Option<String>,
    /// How long a connection may be idle, and a frame under way, 1ms to 366d.
    pub timeout: Span,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(paths::AGENT_SOCKET),
            take_over: false,
            queue: PathBuf::from(paths::AGENT_QUEUE),
            group: None,
            timeout: Span::seconds(60),
        }
    }
}

/// The embedded manager that the agent dials, over mutual TLS 1.3. Without this section it
/// dials nobody. Enrolment writes it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSettings {
    /// HOST:PORT of the manager; must be there.
    #[schemars(extend("default" = null))]
    pub address: String,
    /// The file with the manager's CA, PEM.
    pub ca: PathBuf,
    /// The file with this agent's certificate, PEM.
    pub certificate: PathBuf,
    /// The file with this agent's key, PEM, of mode 0600.
    pub key: PathBuf,
    /// The DNS name in the manager's certificate, whatever the address.
    pub server_name: String,
    /// How long each of TCP, TLS and the manager's welcome may take, 1ms to
    /// 366d.
    pub connect_timeout: Span,
    /// The first pause before dialling again, 1ms to 366d; each is longer than the one
    /// before, and never the same for all agents.
    pub reconnect_min: Span,
    /// The longest pause before dialling again; at least `reconnect_min`, at most
    /// 366d.
    pub reconnect_max: Span,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            address: String::new(),
            ca: PathBuf::from(paths::CHANNEL_CA),
            certificate: PathBuf::from(paths::CHANNEL_CERTIFICATE),
            key: PathBuf::from(paths::CHANNEL_KEY),
            server_name: MANAGER_NAME.to_owned(),
            connect_timeout: Span::seconds(10),
            reconnect_min: Span::seconds(1),
            reconnect_max: Span::seconds(60),
        }
    }
}
