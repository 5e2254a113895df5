//! What every [`Transport`] must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::transport_suite::{self, Stand};
//! # async fn example(set_up: impl Fn(std::sync::Arc<transport_suite::Agents>) -> Stand) {
//! transport_suite::run(async |agents| set_up(agents)).await;
//! # }
//! ```
//!
//! The author's function sets up whatever lies between the transport and its
//! agents, puts the suite's simulated [`Agents`] behind it, and says in a
//! [`Stand`] which agents there are and how to open the transport. Give the
//! transport a time limit of a few seconds: the suite waits for it several
//! times. The suite panics with the first thing that is wrong. Its parts: the
//! sentences of the trait ([`contract`]), agents that fail ([`trouble`]),
//! callers that give up ([`cancel`]).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wpk_api::{AgentId, Transport, TransportError};

use crate::suite::{Keep, Opener, Options, within};

mod agents;
pub mod cancel;
pub mod contract;
pub mod trouble;

pub use agents::{Agents, Reaction};

/// How many agents a [`Stand`] must have.
pub const AGENTS: usize = 8;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run<M>(set_up: M)
where
    M: AsyncFn(Arc<Agents>) -> Stand,
{
    run_with(set_up, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with<M>(set_up: M, options: &Options)
where
    M: AsyncFn(Arc<Agents>) -> Stand,
{
    contract::run(&set_up).await;
    trouble::run(&set_up).await;
    cancel::run(&set_up).await;
    options.no_leaks().await;
}

/// A transport with agents behind it.
pub struct Stand {
    open: Opener<dyn Transport>,
    agents: Vec<AgentId>,
    unknown: AgentId,
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
            keep: None,
        }
    }

    /// What must live as long as the stand.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// Opens the transport and waits for its agents.
    async fn open(&self) -> Arc<dyn Transport> {
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
    fn agent(&self, n: usize) -> AgentId {
        match self.agents.get(n % self.agents.len().max(1)) {
            Some(agent) => *agent,
            None => self.unknown,
        }
    }
}

/// Sends a command; the answer must come and be that of this agent to this command.
async fn answered(transport: &dyn Transport, agent: AgentId, command: impl Into<Bytes>) {
    let command = command.into();
    let expected = agents::answer(agent, &command);
    match asked(transport, agent, command).await {
        Ok(answer) => assert_eq!(
            answer, expected,
            "the answer must be that of agent {agent} to this very command"
        ),
        Err(error) => panic!("agent {agent} answers, the transport said: {error}"),
    }
}

/// Sends a command and waits for what comes of it.
async fn asked(
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
async fn answers_again(transport: &dyn Transport, agent: AgentId) {
    let back = crate::wait_until(crate::suite::DEADLINE, async || {
        transport.connected(agent).await;
        transport
            .request(agent, Bytes::from_static(b"back?"))
            .await
            .ok()
    });
    match back.await {
        Some(answer) => assert_eq!(answer, agents::answer(agent, b"back?")),
        None => panic!("agent {agent} came back and is not reached"),
    }
}
