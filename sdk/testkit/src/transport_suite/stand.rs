//! A transport with agents behind it, as its author describes them, and the
//! questions that all stories ask.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wpk_api::{AgentId, Transport, TransportError};

use super::agents::{Agents, answer};
use crate::suite::{Keep, Opener, within};

/// How many agents a [`Stand`] must have.
pub const AGENTS: usize = 8;

/// A transport with agents behind it.
pub struct Stand {
    open: Opener<dyn Transport>,
    pub(super) agents: Vec<AgentId>,
    pub(super) unknown: AgentId,
    pub(super) takes: (bool, bool),
    keep: Keep,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("agents", &self.agents)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// `agents` are those that can be reached, at least [`AGENTS`]; `unknown`
    /// is none of them. `open` opens the transport, each time on the same data;
    /// agents that dial in find the new one by themselves.
    pub fn new<F, Fut>(agents: Vec<AgentId>, unknown: AgentId, open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn Transport>> + Send + 'static,
    {
        Self {
            open: Opener::new(open),
            agents,
            unknown,
            takes: (false, false),
            keep: None,
        }
    }

    /// Its agents name their tasks, and take JSON whatever version they name; by default
    /// they are as 4.x has them.
    #[must_use]
    pub fn with_agents_of_ours(mut self) -> Self {
        self.takes = (true, true);
        self
    }

    /// What must live as long as the stand.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// A stand with agents of its own, and the transport to them.
    pub(super) async fn ready<M>(set_up: &M) -> (Arc<Agents>, Self, Arc<dyn Transport>)
    where
        M: AsyncFn(Arc<Agents>) -> Self,
    {
        let agents = Arc::new(Agents::new());
        let stand = set_up(Arc::clone(&agents)).await;
        let transport = stand.open().await;
        (agents, stand, transport)
    }

    /// Opens the transport and waits for its agents.
    pub(super) async fn open(&self) -> Arc<dyn Transport> {
        assert!(
            self.agents.len() >= AGENTS,
            "the suite needs {AGENTS} agents"
        );
        assert!(!self.agents.contains(&self.unknown));
        let transport = self.open.open().await;
        for agent in &self.agents {
            within("waiting for an agent", transport.connected(*agent)).await;
        }
        transport
    }

    /// One of the agents.
    pub(super) fn agent(&self, n: usize) -> AgentId {
        match self.agents.get(n % self.agents.len().max(1)) {
            Some(agent) => *agent,
            None => self.unknown,
        }
    }
}

/// Sends a command; the answer must come and be that of this agent to this command.
pub(super) async fn answered(transport: &dyn Transport, agent: AgentId, command: impl Into<Bytes>) {
    let command = command.into();
    let expected = answer(agent, &command);
    match asked(transport, agent, command).await {
        Ok(answered) => assert_eq!(
            answered, expected,
            "the answer must be that of agent {agent} to this very command"
        ),
        Err(error) => panic!("agent {agent} answers, the transport said: {error}"),
    }
}

/// Sends a command and waits for what comes of it.
pub(super) async fn asked(
    transport: &dyn Transport,
    agent: AgentId,
    command: impl Into<Bytes>,
) -> Result<Bytes, TransportError> {
    let outcome = within("a request", transport.request(agent, command.into())).await;
    let named = match &outcome {
        Err(
            TransportError::NotConnected(named)
            | TransportError::TimedOut(named)
            | TransportError::Closed { agent: named, .. }
            | TransportError::Refused { agent: named, .. },
        ) => *named,
        Ok(_) | Err(TransportError::Unavailable(_)) => agent,
    };
    assert_eq!(named, agent, "the error names another agent: {outcome:?}");
    outcome
}

/// Waits until an agent that was lost answers again.
pub(super) async fn answers_again(transport: &dyn Transport, agent: AgentId) {
    let back = crate::wait_until(crate::suite::DEADLINE, async || {
        transport.connected(agent).await;
        transport
            .request(agent, Bytes::from_static(b"back?"))
            .await
            .ok()
    });
    match back.await {
        Some(back) => assert_eq!(back, answer(agent, b"back?")),
        None => panic!("agent {agent} came back and is not reached"),
    }
}
