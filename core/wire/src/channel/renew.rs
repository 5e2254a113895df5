//! The life of an identity after enrolment: another certificate before the one in use ends,
//! and the CAs that an agent is to trust. Keys are made on the agent and stay there.

use serde::{Deserialize, Serialize};

use super::error::ChannelError;
use super::kind::{Kind, check_digests};

/// What an agent asks for that wants another certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// PKCS#10 request for an ECDSA P-256 key, PEM; nothing but the key in it counts.
    pub csr: String,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// [`PROTOCOL`](super::PROTOCOL).
    pub protocol: u32,
    /// Its new certificate, PEM. The one before is good until this one is shown.
    pub certificate: String,
}

/// The CAs that an agent is to trust, in the place of those it trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities {
    /// Their certificates, PEM, one after the other: 1 to [`MOST_CAS`](super::MOST_CAS), at
    /// least one of which the agent trusts already.
    pub ca: String,
    /// Whether the agent's own certificate is of a CA that goes: it should be renewed now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
}

/// The CAs that an agent trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusts {
    /// SHA-256 of each (DER), hexadecimal.
    pub trusts: Vec<String>,
}

impl Trusts {
    pub(super) fn check(&self) -> Result<(), ChannelError> {
        check_digests(Kind::Trusts, &self.trusts)
    }
}
