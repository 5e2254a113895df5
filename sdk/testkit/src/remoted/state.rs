//! What the fake remembers and how it is set to behave, shared by the test that
//! turns its knobs and the connections it serves.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::agent::{Agent, Form};
use super::rules::Rule;

/// What the fake does before a test changes it: acknowledge after this long.
const ACK_DELAY: Duration = Duration::from_millis(50);

/// One request on the agent channel.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The agent it was for.
    pub agent: u32,
    /// The command: `lock_restart`, `open`, `write`, `close`, `sha1`,
    /// `upgrade`, `clear_upgrade_result`, or what else was asked.
    pub step: String,
    /// Its form.
    pub form: Form,
    /// The payload with the agent's id in front; empty if bytes are not kept.
    pub bytes: Bytes,
    /// The answer; `None`: closed without one.
    pub answer: Option<Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) inner: Mutex<Inner>,
    /// Told after every frame.
    pub(super) progress: Notify,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) rules: Vec<Rule>,
    /// Each by itself: what they are sent is hashed by several threads.
    pub(super) agents: HashMap<u32, Arc<Mutex<Agent>>>,
    pub(super) frames: Vec<Frame>,
    pub(super) violations: Vec<String>,
    pub(super) upgrade_socket: Option<PathBuf>,
    pub(super) keep_bytes: bool,
    pub(super) latency: Duration,
    pub(super) ack_delay: Duration,
    pub(super) ack_interval: Option<Duration>,
    pub(super) in_flight: usize,
    pub(super) most_in_flight: usize,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            agents: HashMap::new(),
            frames: Vec::new(),
            violations: Vec::new(),
            upgrade_socket: None,
            keep_bytes: true,
            latency: Duration::ZERO,
            ack_delay: ACK_DELAY,
            ack_interval: None,
            in_flight: 0,
            most_in_flight: 0,
        }
    }
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The agent, once it was spoken to.
    pub(super) fn agent(&self, id: u32) -> Option<MutexGuard<'_, Agent>> {
        self.agents.get(&id).map(|agent| locked(agent))
    }
}

pub(super) fn locked(agent: &Mutex<Agent>) -> MutexGuard<'_, Agent> {
    agent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request as open while it lives.
pub(super) struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        let mut inner = state.lock();
        inner.in_flight += 1;
        inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}
