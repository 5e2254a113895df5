//! Transport: the agent channel.

use async_trait::async_trait;
use bytes::Bytes;

use crate::AgentId;

/// The longest payload of a frame, in bytes, that a 4.x peer accepts
/// (PROTOCOL.md, section 1). Never send more to one.
pub const PEER_MAX_PAYLOAD: usize = 65_536;

/// The longest address in front of a command on the agent channel, in bytes:
/// the ten digits of the largest id, and a space (section 5).
const LONGEST_ADDRESS: usize = "2147483647 ".len();

/// The longest command, in bytes, that fits a frame of a 4.x peer whichever
/// agent it is for.
pub const PEER_MAX_COMMAND: usize = PEER_MAX_PAYLOAD - LONGEST_ADDRESS;

/// Carries one command to an agent and its answer back (PROTOCOL.md, section 5).
///
/// It knows nothing of upgrades: the steps are the engine's. Implementations
/// set their own time limit per request and must not retry by themselves.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `command` (the bytes after the agent's id) and returns the agent's
    /// answer. Requests to different agents run concurrently; the engine sends
    /// one agent one request at a time, except that `clear_upgrade_result` may
    /// overlap a delivery.
    ///
    /// # Errors
    /// [`TransportError`] if there was no answer from the agent itself.
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError>;

    /// Returns when the agent is connected, as far as this transport can know;
    /// the default is at once. After a restart the engine waits so for agents
    /// that have to dial in again, for a limited time, and drops the call then.
    async fn connected(&self, agent: AgentId) {
        let _ = agent;
    }

    /// Whether the agent takes the id of its task with `upgrade` and names it in its
    /// acknowledgement (PROTOCOL.md, section 16). 4.x agents do not, and must get
    /// the bytes of section 5 alone; the default is that none does.
    async fn names_tasks(&self, agent: AgentId) -> bool {
        let _ = agent;
        false
    }

    /// Whether the agent takes its commands as JSON and reports its result whatever
    /// version it names. The default is that its version decides, as with 4.x agents:
    /// below v4.1.0 they take plain text and report nothing (PROTOCOL.md, section 5).
    async fn takes_json(&self, agent: AgentId) -> bool {
        let _ = agent;
        false
    }

    /// The largest command this transport can carry, in bytes. The default is
    /// what a 4.x peer takes.
    fn max_command(&self) -> usize {
        PEER_MAX_COMMAND
    }
}

/// Why there was no answer from the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The channel as a whole is not there.
    #[error("the agent channel cannot be reached: {0}")]
    Unavailable(String),
    /// The agent is not connected.
    #[error("agent {0} is not connected")]
    NotConnected(AgentId),
    /// The agent did not answer in time.
    #[error("agent {0} did not answer in time")]
    TimedOut(AgentId),
    /// The connection ended before the answer.
    #[error("the connection to agent {agent} ended before its answer: {reason}")]
    Closed {
        /// The agent.
        agent: AgentId,
        /// What happened.
        reason: String,
    },
    /// The channel refused the command; the text is its own.
    #[error("the agent channel refused the command for agent {agent}: {reason}")]
    Refused {
        /// The agent.
        agent: AgentId,
        /// The channel's words, for example `err Cannot send request`.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_command_leaves_room_for_the_longest_address() {
        let address = format!("{} ", AgentId::new(i64::from(i32::MAX)).unwrap());
        assert_eq!(PEER_MAX_PAYLOAD, 65_536);
        assert_eq!(PEER_MAX_COMMAND + address.len(), PEER_MAX_PAYLOAD);
    }
}
