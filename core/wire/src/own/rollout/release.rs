//! `release_list`, `release_deny`, `release_allow`: versions, what an agent must run
//! before it may go there, and which are denied.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wpk_api::{Digests, UnixTime, Version};

use super::read;
use super::words::{Words, answers};
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// All releases that are known, an item each; no parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListReleases {}

/// A release is denied, or allowed again. The answer is its [`ListedRelease`] afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRelease {
    /// It is never begun again by itself.
    Deny {
        /// Which.
        version: Version,
        /// Why; may be empty.
        reason: String,
    },
    /// It may be begun again.
    Allow {
        /// Which.
        version: Version,
    },
}

impl ChangeRelease {
    pub(super) fn command(&self) -> UpgradeCommand {
        match self {
            Self::Deny { .. } => UpgradeCommand::ReleaseDeny,
            Self::Allow { .. } => UpgradeCommand::ReleaseAllow,
        }
    }

    pub(super) fn parameters(&self) -> Value {
        match self {
            Self::Deny { version, reason } => {
                json!({"version": version.to_string(), "reason": reason})
            }
            Self::Allow { version } => json!({"version": version.to_string()}),
        }
    }

    pub(super) fn deny(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        Ok(Self::Deny {
            version: read::version(parameters)?,
            reason: read::reason(parameters)?,
        })
    }

    pub(super) fn allow(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        read::version(parameters).map(|version| Self::Allow { version })
    }
}

/// A release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRelease {
    /// Its version: `v4.14.7`.
    pub version: String,
    /// Versions that an agent below this release must reach first, if it is below them.
    #[serde(default)]
    pub floors: Vec<String>,
    /// Whether it is denied.
    #[serde(default)]
    pub denied: bool,
    /// Why it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// When it was denied or allowed last, in seconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixTime>,
    /// Who did that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Words>,
    /// SHA-256 of its files, where it is pinned to them: at most
    /// [`MOST_DIGESTS`](wpk_api::MOST_DIGESTS).
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub sha256: Digests,
}

answers!(ListedRelease);
