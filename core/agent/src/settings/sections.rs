//! The sections of the settings file with their defaults (section 11 of the
//! protocol reference for those of `[upgrade]`).

use std::path::PathBuf;

use serde::Deserialize;
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

/// `[upgrade]`: what 4.x agents have in `<agent-upgrade>`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpgradeSettings {
    /// Whether upgrades are allowed at all. Default true. A
    /// `clear_upgrade_result` allows them again, as in 4.x agents.
    pub enabled: bool,
    /// Pause before the first acknowledgement of a result. Default 30 s.
    pub notification_wait_start: Span,
    /// Longest pause between acknowledgements. Default 1 h.
    pub notification_wait_max: Span,
    /// What each pause is multiplied with. Default 2, above 1, at most 100.
    pub notification_wait_factor: f64,
    /// After a start and after an installer ended, `upgrade_result` is looked
    /// for closely this long, afterwards once in such a time. Default 30 s.
    pub result_wait: Span,
    /// How often it is looked for closely. Default 1 s.
    pub result_check: Span,
    /// How long an `upgrade_result` that is empty or says nothing may stay so
    /// before it is reported as failed. Default 60 s.
    pub result_grace: Span,
    /// How long an installer that leaves no result holds back the next upgrade
    /// while its processes live. Default 30 min.
    pub result_within: Span,
    /// Time limit of an installer, up to its first process's end. Default
    /// 60 s: a manager waits 75 s for the answer.
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

/// `[upgrade.ca_verification]`: who may sign packages.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaVerification {
    /// Whether the signer must chain to a CA of `ca_store`. Default true.
    pub enabled: bool,
    /// Files and folders of CA certificates. Default `etc/wpk_root.pem`.
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

/// `[agent]`: what the agent says of itself on the channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// Its version, `v4.14.0`.
    pub version: Option<String>,
    /// A file whose first line is the version, read at each connect; `version`
    /// stands in when it cannot be read. Default `VERSION`, without `version`.
    pub version_file: Option<PathBuf>,
    /// `ubuntu`, `rhel`, ... Default: `ID` of `/etc/os-release`.
    pub platform: Option<String>,
    /// Default: `VERSION` of `/etc/os-release`.
    pub os_version: Option<String>,
    /// Default: the first part of its `VERSION_ID`.
    pub os_major: Option<String>,
    /// Default: the second part of its `VERSION_ID`.
    pub os_minor: Option<String>,
    /// `x86_64`, `aarch64`, ... Default: this program's.
    pub arch: Option<String>,
}

/// `[limits]`: bounds on what a manager or a package may make the agent hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of all files in `var/incoming`. Default 4 GiB.
    pub incoming: ByteSize,
    /// Bytes of an unpacked package. Default 2 GiB.
    pub unpacked: ByteSize,
    /// Files in a package. Default 20,000.
    pub entries: usize,
    /// Bytes of a name in a package. Default 1,024.
    pub name: usize,
    /// Bytes of the certificates of a package. Default 64 KiB.
    pub certificate: ByteSize,
    /// Bytes of `logs/wpk-installer.log`. Default 8 MiB, at least 4 KiB.
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

/// `[listen]`: the place beside a real agent daemon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// Where commands come in. Default `queue/sockets/upgrade`.
    pub socket: PathBuf,
    /// Whether the socket of the agent daemon's own upgrade module is pushed aside (to
    /// `.upgrade.builtin` in the same folder) and given back at the end. The module binds
    /// its socket at each start of the daemon, also with `enabled` no. Default false.
    pub take_over: bool,
    /// Where acknowledgements go as datagrams. Default `queue/sockets/queue`.
    pub queue: PathBuf,
    /// Group of the socket, a name of `/etc/group` or a number. Default: left
    /// as created.
    pub group: Option<String>,
    /// How long a connection may be idle, and a frame under way. Default 60 s.
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

/// `[channel]`: the embedded manager that the agent dials.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSettings {
    /// `host:port`; required.
    pub address: String,
    /// The manager's CA, PEM. Default `etc/channel/ca.pem`.
    pub ca: PathBuf,
    /// This agent's certificate, PEM. Default `etc/channel/agent.pem`.
    pub certificate: PathBuf,
    /// Its key, PEM, mode 0600. Default `etc/channel/agent.key`.
    pub key: PathBuf,
    /// The DNS name in the manager's certificate, whatever the address.
    /// Default [`MANAGER_NAME`].
    pub server_name: String,
    /// For each of TCP, TLS and the manager's welcome. Default 10 s.
    pub connect_timeout: Span,
    /// First pause before dialling again; each is longer. Default 1 s.
    pub reconnect_min: Span,
    /// Longest pause before dialling again. Default 1 min.
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
