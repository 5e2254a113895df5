//! RequestSource: where requests come from.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AgentId, CancellationToken};

/// Accepts requests and hands them to the engine.
#[async_trait]
pub trait RequestSource: Send + Sync {
    /// Serves until `stop` is cancelled, then lets requests that are being
    /// answered finish for a short time and returns. Called once. A client that
    /// is slow, silent or wrong must not delay another.
    ///
    /// # Errors
    /// [`SourceError`] if it can accept nothing any more.
    async fn serve(
        &self,
        service: Arc<dyn RequestService>,
        stop: CancellationToken,
    ) -> Result<(), SourceError>;
}

/// The engine's side: answers one request.
#[async_trait]
pub trait RequestService: Send + Sync {
    /// Answers the payload of one frame. `None`: close without an answer.
    async fn call(&self, request: Request) -> Option<Bytes>;

    /// For a while somebody else may have answered in the source's place (its socket was
    /// lost, and is back): what others did meanwhile is looked for at once. By default
    /// nothing happens. It does not cross the border of dynamic plugins: what is told to
    /// the service of a source in a library ends there.
    fn was_away(&self) {}

    /// Whether files are sent to agents just now, which needs the processors as well: a
    /// source lets nobody who asks without a pause have one for himself then. By default
    /// nothing is known of it; it does not cross the border either.
    fn is_sending(&self) -> bool {
        false
    }
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which of the two sockets (or its equivalent) it came through.
    pub endpoint: Endpoint,
    /// Who sent it, as far as the source can prove it.
    pub peer: Peer,
    /// The payload of the frame.
    pub payload: Bytes,
}

/// Which set of commands applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The upgrade socket (PROTOCOL.md, section 2).
    Upgrade,
    /// The task socket (PROTOCOL.md, section 3).
    Task,
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A local process, with the user id the kernel vouches for.
    Local {
        /// The effective user id.
        uid: u32,
    },
    /// An agent that proved who it is. It may only acknowledge its own tasks.
    Agent(AgentId),
    /// Nobody in particular.
    Unknown,
}

/// Why a source can accept nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {message}")]
pub struct SourceError {
    /// The source, for example its socket's path.
    pub source_name: String,
    /// What happened and what to do.
    pub message: String,
}
