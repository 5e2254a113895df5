//! What agent and manager say first, after the TLS handshake told who they are.

use serde::{Deserialize, Serialize};
use wpk_api::AgentId;

use super::error::ChannelError;
use super::kind::{Kind, check_digests, check_protocol, check_text, not_understood};

/// What an agent says of itself first, after the TLS handshake told who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// `ubuntu`, `windows`, `darwin`, ...
    pub platform: String,
    /// The whole version text of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Its first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_major: Option<String>,
    /// Its second part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_minor: Option<String>,
    /// `x86_64`, `aarch64`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The agent's version, `v4.14.0` or `Wazuh v4.14.0`.
    pub version: String,
    /// Whether the agent repeats a task's id that comes with `upgrade` in its
    /// acknowledgement. Absent, and so false, from one that was made before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_tasks: bool,
    /// Whether the agent renews its certificate and learns a new CA of the manager.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renews: bool,
    /// The CAs that it trusts, of one that renews: SHA-256 of each (DER), hexadecimal, at
    /// most [`MOST_CAS`](super::MOST_CAS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusts: Vec<String>,
}

/// The manager's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// The agent's id, as its certificate says.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// Seconds between two signs of life; silence of three times that is a lost connection.
    pub keepalive_seconds: u32,
    /// How long certificates live that this manager renews, in seconds. Absent from a
    /// manager that renews none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_seconds: Option<u64>,
}

impl Hello {
    pub(super) fn check(&self) -> Result<(), ChannelError> {
        check_protocol(self.protocol)?;
        let optional = [
            ("os_version", &self.os_version),
            ("os_major", &self.os_major),
            ("os_minor", &self.os_minor),
            ("arch", &self.arch),
        ];
        check_text(Kind::Hello, "platform", &self.platform)?;
        check_text(Kind::Hello, "version", &self.version)?;
        for (key, text) in optional {
            check_text(Kind::Hello, key, text.as_deref().unwrap_or_default())?;
        }
        check_digests(Kind::Hello, &self.trusts)
    }
}

impl Welcome {
    pub(super) fn check(&self) -> Result<(), ChannelError> {
        check_protocol(self.protocol)?;
        check_text(Kind::Welcome, "name", &self.name)?;
        if self.keepalive_seconds == 0 {
            return Err(not_understood(Kind::Welcome, "keepalive_seconds is 0"));
        }
        Ok(())
    }
}
