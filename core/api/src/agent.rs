//! What an agent directory knows about an agent.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Version};

/// One agent as its directory describes it (PROTOCOL.md, section 9).
///
/// Texts are as reported; an absent column is `None`. Nothing here is trusted
/// to be well formed: the rules (section 2) decide what it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The agent's id.
    pub id: AgentId,
    /// The name it was enrolled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Operating system.
    #[serde(flatten)]
    pub platform: Platform,
    /// The agent's version text, for example `Wazuh v4.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether a command would reach it now.
    pub connection: ConnectionStatus,
    /// Groups, as the directory writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The manager node the agent is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl AgentInfo {
    /// The version inside the version text, or `None` if there is none.
    pub fn parsed_version(&self) -> Option<Version> {
        self.version.as_deref().and_then(Version::find)
    }
}

/// The operating system of an agent, in the words of section 2 of PROTOCOL.md.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// `ubuntu`, `windows`, `darwin`, `centos`, ...
    #[serde(
        default,
        rename = "os_platform",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// Major version of the operating system, for example `22`.
    #[serde(default, rename = "os_major", skip_serializing_if = "Option::is_none")]
    pub major: Option<String>,
    /// Minor version of the operating system, for example `04`.
    #[serde(default, rename = "os_minor", skip_serializing_if = "Option::is_none")]
    pub minor: Option<String>,
    /// Processor architecture, for example `x86_64`.
    #[serde(default, rename = "os_arch", skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
}

/// The connection status of an agent (PROTOCOL.md, section 9). Anything but
/// `active` means that a command would not reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Connected.
    Active,
    /// Known, its first keep-alive is awaited.
    Pending,
    /// Was connected once.
    Disconnected,
    /// Enrolled, never seen.
    NeverConnected,
    /// A word this version does not know, or none.
    #[serde(other)]
    Unknown,
}

impl ConnectionStatus {
    /// The directory's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Disconnected => "disconnected",
            Self::NeverConnected => "never_connected",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the directory's word; an unknown word is [`Self::Unknown`].
    pub fn from_word(word: &str) -> Self {
        [
            Self::Active,
            Self::Pending,
            Self::Disconnected,
            Self::NeverConnected,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
        .unwrap_or(Self::Unknown)
    }
}
