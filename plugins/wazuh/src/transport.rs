//! The agent channel of a 4.x manager: its remote daemon (protocol.md, section 5).
//!
//! One connection per request, since that is what the daemon serves. Commands
//! to thousands of agents may run at a time; connections over the limit wait
//! here instead of overrunning the daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use wpk_api::examine::{Check, Examine};
use wpk_api::paths;
use wpk_api::settings::{Problem, Span, read};
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
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemotedSettings {
    /// The remote daemon's socket.
    pub socket: String,
    /// How long one request may take, with the agent's answer. The daemon itself
    /// waits up to a minute for an agent.
    pub timeout: Span,
    /// Requests at a time; further ones wait.
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

impl RemotedSettings {
    /// Reads and validates the section.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(section: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Self = read(section)?;
        let mut problems = Vec::new();
        if settings.socket.is_empty() {
            problems.push(Problem::new(
                "socket",
                "is empty; write the path of the remote daemon's socket",
            ));
        }
        if settings.timeout.0.is_zero() {
            problems.push(Problem::new(
                "timeout",
                "would end every request at once; write for example \"75s\"",
            ));
        }
        if !(1..=LARGEST_MAX_CONNECTIONS).contains(&settings.max_connections) {
            problems.push(Problem::new(
                "max_connections",
                format!(
                    "{} is outside 1 to {LARGEST_MAX_CONNECTIONS}",
                    settings.max_connections
                ),
            ));
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }
}

/// Makes a [`Remoted`] from `type = "remoted"`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemotedFactory;

#[async_trait]
impl Factory<dyn Transport> for RemotedFactory {
    fn kind(&self) -> &'static str {
        "remoted"
    }

    fn check(&self, settings: &Value) -> Vec<Problem> {
        RemotedSettings::parse(settings).err().unwrap_or_default()
    }

    async fn examine(&self, settings: &Value, context: &Context, _asked: &Examine) -> Vec<Check> {
        match RemotedSettings::parse(settings) {
            Ok(settings) => {
                let socket = context.path(&settings.socket);
                vec![examine::remote(socket, settings.timeout.0).await]
            }
            Err(_) => Vec::new(),
        }
    }

    fn build(&self, settings: &Value, context: &Context) -> Result<Arc<dyn Transport>, BuildError> {
        let settings = RemotedSettings::parse(settings).map_err(BuildError::Settings)?;
        Ok(Arc::new(Remoted::new(&settings, context)))
    }
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
    pub fn new(settings: &RemotedSettings, context: &Context) -> Self {
        Self {
            socket: context.path(&settings.socket),
            timeout: settings.timeout.0,
            places: Semaphore::new(settings.max_connections),
        }
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
        let exchange = self.exchange(address.as_bytes(), command);
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
            let problems = RemotedFactory.check(&section);
            assert_eq!(problems.len(), 1, "{section}");
            assert_eq!(problems[0].key, key);
        }
        assert!(RemotedFactory.check(&json!({})).is_empty());
    }
}
