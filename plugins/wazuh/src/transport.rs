//! The agent channel of a 4.x manager: its remote daemon (PROTOCOL.md, section 5).
//!
//! One connection per request, since that is what the daemon serves. Commands
//! to thousands of agents may run at a time; connections over the limit wait
//! here instead of overrunning the daemon.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::section::{self, Section};
use wpk_api::settings::{Problem, Problems, Span, Value, schema_of};
use wpk_api::{AgentId, BuildError, Context, Factory, Transport, TransportError};
use wpk_wire::PEER_MAX_PAYLOAD;

use crate::examine;
use crate::peer::{Peer, PeerError};

/// The daemon's own word for an agent that did not answer it in time.
const RESPONSE_TIMEOUT: &[u8] = b"err Response timeout";
/// Its other errors. Whatever else starts with `err ` is the answer of an agent
/// below v4.1.0 and passed on as such.
const REFUSALS: [&[u8]; 3] = [
    b"err Cannot send request",
    b"err Maximum attempts exceeded",
    b"err Internal error",
];
/// Largest `max_connections`.
const LARGEST_MAX_CONNECTIONS: usize = 65_536;

/// The settings of `[transport] type = "remoted"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemotedSettings {
    /// The remote daemon's socket.
    pub socket: String,
    /// How long one request may take, with the agent's answer, 1ms to 36500d. The daemon
    /// itself waits up to a minute for an agent.
    pub timeout: Span,
    /// Requests at a time, 1 to 65536; further ones wait.
    #[schemars(extend("unit" = "requests"))]
    pub max_connections: usize,
}

impl Default for RemotedSettings {
    fn default() -> Self {
        Self {
            socket: paths::REMOTE_SOCKET.to_owned(),
            timeout: Span(Duration::from_secs(75)),
            max_connections: 256,
        }
    }
}

#[async_trait]
impl Section for RemotedSettings {
    fn schema() -> Option<Value> {
        schema_of::<Self>()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::new();
        problems.not_empty(
            "socket",
            &self.socket,
            "write the path of the remote daemon's socket",
        );
        problems.not_zero("timeout", self.timeout, "75s");
        problems.in_range(
            "max_connections",
            self.max_connections,
            1..=LARGEST_MAX_CONNECTIONS,
        );
        problems.found()
    }

    async fn examine(&self, context: &Context, _asked: &Examine) -> Vec<Check> {
        let socket = context.path(&self.socket);
        vec![examine::remote(socket, self.timeout.0).await]
    }
}

/// `[transport] type = "remoted"`.
pub fn remoted() -> impl Factory<dyn Transport> {
    section::plugin("remoted", Remoted::open)
}

/// The way to the agents through the manager's remote daemon. It is not asked
/// for anything before the first request, so that it may start later.
#[derive(Debug)]
pub struct Remoted {
    socket: PathBuf,
    timeout: Duration,
    places: Semaphore,
}

impl Remoted {
    /// A transport with these settings.
    ///
    /// # Errors
    /// None: nothing is asked before the first request.
    pub fn open(settings: RemotedSettings, context: &Context) -> Result<Self, BuildError> {
        Ok(Self {
            socket: context.path(&settings.socket),
            timeout: settings.timeout.0,
            places: Semaphore::new(settings.max_connections),
        })
    }

    async fn exchange(&self, address: &[u8], command: Bytes) -> Result<Bytes, PeerError> {
        Peer::connect(&self.socket)
            .await?
            .ask(address, command)
            .await
    }
}

#[async_trait]
impl Transport for Remoted {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let refused = |reason: String| TransportError::Refused { agent, reason };
        let closed = |reason: String| TransportError::Closed { agent, reason };
        let address = wpk_wire::remoted::address(agent);
        let length = address.len() + command.len();
        if length > PEER_MAX_PAYLOAD {
            return Err(refused(format!(
                "the command takes {length} bytes, a frame at most {PEER_MAX_PAYLOAD}; choose a \
                 smaller chunk_size"
            )));
        }
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|error| TransportError::Unavailable(error.to_string()))?;
        let exchange = self.exchange(&address, command);
        let answer = match tokio::time::timeout(self.timeout, exchange).await {
            Err(_elapsed) => return Err(TransportError::TimedOut(agent)),
            Ok(Err(error @ PeerError::Connect { .. })) => {
                return Err(TransportError::Unavailable(error.to_string()));
            }
            Ok(Err(error)) => return Err(closed(error.to_string())),
            Ok(Ok(answer)) => answer,
        };
        if answer == RESPONSE_TIMEOUT {
            return Err(TransportError::TimedOut(agent));
        }
        if REFUSALS.iter().any(|refusal| answer == *refusal) {
            return Err(refused(String::from_utf8_lossy(&answer).into_owned()));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_are_named_with_their_key() {
        let cases = [
            (json!({"socket": ""}), "socket"),
            (json!({"timeout": "0s"}), "timeout"),
            (json!({"max_connections": 0}), "max_connections"),
            (json!({"max_connections": 100_000}), "max_connections"),
            (json!({"url": "x"}), "url"),
        ];
        for (section, key) in cases {
            let problems = remoted().check(&section);
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(remoted().check(&json!({})).is_empty());
    }
}
