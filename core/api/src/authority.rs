//! The CA of a directory that certifies its agents: what it is, how long it is good, and
//! the steps by which another takes its place without cutting anyone off. Types cross the
//! border of dynamic plugins, so members are added only.

use serde::{Deserialize, Serialize};

use crate::{AgentId, UnixTime};

/// What is to be done about the CA (PROTOCOL.md, section 16).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaStep {
    /// Nothing: it is shown.
    #[default]
    Show,
    /// A new CA is made: it signs agents' certificates, and is announced to them.
    Replace,
    /// The new one signs the manager's certificate as well.
    Switch,
    /// The one before is trusted no more.
    Finish,
}

/// A step, and whether it is taken although agents would be cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaWish {
    /// The step.
    #[serde(default)]
    pub step: CaStep,
    /// Take it all the same.
    #[serde(default)]
    pub force: bool,
}

/// One CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaCertificate {
    /// SHA-256 of its certificate (DER), hexadecimal.
    pub sha256: String,
    /// `in use`, `new` (announced, and signs agents' certificates) or `old` (trusted still).
    pub state: String,
    /// When it ends, in seconds since 1970.
    pub end: UnixTime,
}

/// How things stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaReport {
    /// The CAs that are trusted, that in use first.
    pub authorities: Vec<CaCertificate>,
    /// When the manager's own certificate ends, in seconds since 1970.
    #[serde(default)]
    pub manager_end: UnixTime,
    /// How many agents are enrolled.
    #[serde(default)]
    pub agents: u64,
    /// Agents that would be cut off by the next step, ascending, at most 1,000.
    #[serde(default)]
    pub behind: Vec<AgentId>,
    /// How many there are in all.
    #[serde(default)]
    pub behind_count: u64,
}
