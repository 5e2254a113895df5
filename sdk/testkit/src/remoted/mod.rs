//! A stand-in for the manager's remote daemon with agents behind it
//! (PROTOCOL.md, sections 5 and 6).
//!
//! Every agent exists and is healthy unless a rule says otherwise: it puts the
//! file together, answers its digest, says `0` to `upgrade` and acknowledges a
//! little later by a message to the upgrade socket, as the manager's event
//! pipeline would (agents that are spoken to in the older form never do). Every
//! frame is remembered in order, and tests can wait for one to come.

pub(crate) mod agent;
mod rules;
mod serve;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::server::Server;
use serve::{send_acknowledgement, serve};
use state::State;

pub use agent::Form;
pub use state::Frame;

/// The fake daemon; ends when dropped.
#[derive(Debug)]
pub struct FakeRemoted {
    server: Server,
    state: Arc<State>,
}

impl FakeRemoted {
    /// Listens at `path`. No acknowledgements are sent until
    /// [`Self::acknowledge_to`] says where.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub fn start(path: impl AsRef<Path>) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let server = Server::sharing(path.as_ref(), &state, serve)?;
        Ok(Self { server, state })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.server.path()
    }

    /// Acknowledges upgrades by messages to this socket.
    pub fn acknowledge_to(&self, upgrade_socket: impl Into<PathBuf>) {
        self.state.lock().upgrade_socket = Some(upgrade_socket.into());
    }

    /// Replaces all rules by these; see the module `rules` for the language:
    /// `AGENT STEP ANSWER` with `@close`, `@count:N:ANSWER`, `@ack:E:STATUS`,
    /// `@noack`, `@hang`, `@raw:HEX`, and `*` for every agent.
    ///
    /// # Errors
    /// Names the line that is no rule.
    pub fn set_rules(&self, text: &str) -> Result<(), String> {
        self.state.lock().rules = rules::parse(text)?;
        Ok(())
    }

    /// How long every answer takes; none at first.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    /// How long after `upgrade` an agent acknowledges; 50 ms at first.
    pub fn set_ack_delay(&self, delay: Duration) {
        self.state.lock().ack_delay = delay;
    }

    /// Repeats acknowledgements at this interval until `clear_upgrade_result`
    /// comes, as real agents do; `None` (at first): sends each once.
    pub fn set_ack_interval(&self, interval: Option<Duration>) {
        self.state.lock().ack_interval = interval;
    }

    /// Whether frames and files are kept as bytes (at first: yes). Steps and
    /// digests are known in any case.
    pub fn keep_bytes(&self, keep: bool) {
        self.state.lock().keep_bytes = keep;
    }

    /// Forgets frames, agents and violations; settings and rules stay.
    pub fn reset(&self) {
        let mut inner = self.state.lock();
        inner.frames.clear();
        inner.agents.clear();
        inner.violations.clear();
        inner.most_in_flight = inner.in_flight;
    }

    /// All frames, in order.
    pub fn frames(&self) -> Vec<Frame> {
        self.state.lock().frames.clone()
    }

    /// The steps of one agent, in order.
    pub fn steps(&self, agent: u32) -> Vec<String> {
        let inner = self.state.lock();
        let of_agent = inner.frames.iter().filter(|frame| frame.agent == agent);
        of_agent.map(|frame| frame.step.clone()).collect()
    }

    /// How often an agent was sent `step`.
    pub fn count(&self, agent: u32, step: &str) -> usize {
        self.steps(agent).iter().filter(|one| *one == step).count()
    }

    /// What an agent has received since its last `open`.
    pub fn received(&self, agent: u32) -> Option<Bytes> {
        self.state.lock().agent(agent).map(|agent| agent.content())
    }

    /// The file and the installer of an agent's last `upgrade`.
    pub fn upgraded(&self, agent: u32) -> Option<(String, String)> {
        self.state.lock().agent(agent)?.upgraded.clone()
    }

    /// What a real remote daemon or agent would not have understood.
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// The largest number of requests that were open at a time.
    pub fn most_in_flight(&self) -> usize {
        self.state.lock().most_in_flight
    }

    /// Waits until the agent has been sent `step`; returns the first such
    /// frame, `None` after `deadline`.
    pub async fn wait_for(&self, agent: u32, step: &str, deadline: Duration) -> Option<Frame> {
        self.wait_for_nth(agent, step, 1, deadline).await
    }

    /// Waits for the `n`th frame of that step (counted from 1).
    pub async fn wait_for_nth(
        &self,
        agent: u32,
        step: &str,
        n: usize,
        deadline: Duration,
    ) -> Option<Frame> {
        let found = async {
            loop {
                let progress = self.state.progress.notified();
                tokio::pin!(progress);
                // Registered before looking, so that nothing is missed in between.
                progress.as_mut().enable();
                let frame = self
                    .state
                    .lock()
                    .frames
                    .iter()
                    .filter(|frame| frame.agent == agent && frame.step == step)
                    .nth(n.saturating_sub(1))
                    .cloned();
                if let Some(frame) = frame {
                    return frame;
                }
                progress.await;
            }
        };
        tokio::time::timeout(deadline, found).await.ok()
    }

    /// Sends an acknowledgement of an agent now, whatever its state is.
    ///
    /// # Errors
    /// Those of the upgrade socket, and `NotFound` before
    /// [`Self::acknowledge_to`] was called.
    pub async fn acknowledge(&self, agent: u32, error: i64, status: &str) -> io::Result<()> {
        let socket = self.state.lock().upgrade_socket.clone();
        let socket = socket.ok_or(io::ErrorKind::NotFound)?;
        send_acknowledgement(&socket, agent, error, status).await
    }
}
