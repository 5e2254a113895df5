//! The two numbers everything else is keyed by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An agent's id: 0 (the manager itself) to 2147483647 (PROTOCOL.md, section 2).
///
/// Printed with at least three digits, as on the agent channel (`007`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct AgentId(u32);

/// An integer that is no agent id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no agent id: ids are 0 to 2147483647")]
pub struct InvalidAgentId(pub i64);

impl AgentId {
    /// The manager itself, which is never upgraded by an agent upgrade.
    pub const MANAGER: AgentId = AgentId(0);

    /// An id from a wire integer; outside 0 to 2147483647 it is refused.
    pub const fn new(id: i64) -> Result<Self, InvalidAgentId> {
        if id < 0 || id > i32::MAX as i64 {
            Err(InvalidAgentId(id))
        } else {
            Ok(Self(id as u32))
        }
    }

    /// The id as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for AgentId {
    type Error = InvalidAgentId;
    fn try_from(id: i64) -> Result<Self, InvalidAgentId> {
        Self::new(id)
    }
}

impl From<AgentId> for i64 {
    fn from(id: AgentId) -> i64 {
        i64::from(id.0)
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentId({self})")
    }
}

/// A task's id: the row id of the task table, 1 and up, never reused
/// (PROTOCOL.md, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub i64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_the_range_are_refused() {
        assert_eq!(AgentId::new(-1), Err(InvalidAgentId(-1)));
        assert_eq!(
            AgentId::new(2_147_483_648),
            Err(InvalidAgentId(2_147_483_648))
        );
        assert_eq!(AgentId::new(2_147_483_647).unwrap().get(), 2_147_483_647);
        assert!(serde_json::from_str::<AgentId>("-5").is_err());
    }

    #[test]
    fn ids_print_with_three_digits() {
        assert_eq!(AgentId::new(7).unwrap().to_string(), "007");
        assert_eq!(AgentId::new(12345).unwrap().to_string(), "12345");
    }
}
