//! Transport: the agent channel.

use async_trait::async_trait;
use bytes::Bytes;

use crate::AgentId;

/// Carries one command to an agent and its answer back (protocol.md, section 5).
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

    /// The largest command this transport can carry, in bytes. The default is
    /// what a 4.x peer takes: a frame of 65,536 bytes with room for the id.
    fn max_command(&self) -> usize {
        65_536 - 11
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
