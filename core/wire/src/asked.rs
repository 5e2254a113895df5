//! Ids as a request asks for them.

use std::fmt;

use serde::{Deserialize, Serialize};
use wpk_api::{AgentId, InvalidAgentId};

/// An integer in the place of an agent's id (section 2): it may be none, and is
/// answered all the same, as it was sent. Integers beyond 64 bits became the
/// nearest that fits; they are nobody's id either way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AskedId(i64);

impl AskedId {
    /// The integer as sent.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The agent that is meant.
    ///
    /// # Errors
    /// [`InvalidAgentId`] outside 0 to 2147483647.
    pub const fn agent(self) -> Result<AgentId, InvalidAgentId> {
        AgentId::new(self.0)
    }
}

impl From<i64> for AskedId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl From<AgentId> for AskedId {
    fn from(agent: AgentId) -> Self {
        Self(agent.into())
    }
}

impl PartialEq<AgentId> for AskedId {
    fn eq(&self, agent: &AgentId) -> bool {
        self.0 == i64::from(*agent)
    }
}

impl fmt::Display for AskedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AskedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskedId({})", self.0)
    }
}
