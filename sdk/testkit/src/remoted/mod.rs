//! A stand-in for the manager's remote daemon with agents behind it
//! (protocol.md, sections 5 and 6).
//!
//! Every agent exists and is healthy unless a rule says otherwise: it puts the
//! file together, answers its digest, says `0` to `upgrade` and acknowledges a
//! little later by a message to the upgrade socket, as the manager's event
//! pipeline would (agents that are spoken to in the older form never do). Every
//! frame is remembered in order, and tests can wait for one to come.

mod agent;
mod rules;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::Client;
use crate::server::{Connection, Server};
use agent::Agent;
use rules::{Action, Rule};

pub use agent::Form;

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

/// The fake daemon; ends when dropped.
#[derive(Debug)]
pub struct FakeRemoted {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    /// Told after every frame.
    progress: Notify,
}

#[derive(Debug)]
struct Inner {
    rules: Vec<Rule>,
    agents: HashMap<u32, Agent>,
    frames: Vec<Frame>,
    violations: Vec<String>,
    upgrade_socket: Option<PathBuf>,
    keep_bytes: bool,
    latency: Duration,
    ack_delay: Duration,
    ack_interval: Option<Duration>,
    in_flight: usize,
    most_in_flight: usize,
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
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeRemoted {
    /// Listens at `path`. No acknowledgements are sent until
    /// [`Self::acknowledge_to`] says where.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub fn start(path: impl AsRef<Path>) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let server = Server::start(path.as_ref(), move |connection| {
            serve(connection, Arc::clone(&shared))
        })?;
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

    /// What an agent has received since its last `open`.
    pub fn received(&self, agent: u32) -> Option<Bytes> {
        self.state.lock().agents.get(&agent).map(Agent::content)
    }

    /// The file and the installer of an agent's last `upgrade`.
    pub fn upgraded(&self, agent: u32) -> Option<(String, String)> {
        self.state.lock().agents.get(&agent)?.upgraded.clone()
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

/// Counts a request as open while it lives.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn new(state: &'a State) -> Self {
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

/// What to do about one request.
enum Reaction {
    Answer(Bytes),
    Close,
    Hang,
    Raw(Bytes),
}

/// One connection: one request.
async fn serve(mut connection: Connection, state: Arc<State>) -> io::Result<()> {
    let request = match connection.receive().await {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(error) => {
            state
                .lock()
                .violations
                .push(format!("unreadable request: {error}"));
            return Err(error);
        }
    };
    let _in_flight = InFlight::new(&state);
    let latency = state.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (reaction, acknowledgement) = react(&state, &request);
    state.progress.notify_waiters();
    match reaction {
        Reaction::Answer(answer) => connection.send(&answer).await?,
        Reaction::Raw(bytes) => connection.send_raw(&bytes).await?,
        Reaction::Close => {}
        Reaction::Hang => while connection.receive().await?.is_some() {},
    }
    if let Some((agent, error, status)) = acknowledgement {
        tokio::spawn(keep_acknowledging(Arc::clone(&state), agent, error, status));
    }
    Ok(())
}

/// An acknowledgement to come: agent, error, status.
type Acknowledgement = (u32, i64, String);

fn react(state: &State, request: &Bytes) -> (Reaction, Option<Acknowledgement>) {
    let mut guard = state.lock();
    let inner = &mut *guard;
    let parsed = wpk_wire::remoted::split_address(request)
        .map(|(agent, command)| (agent, request.slice_ref(command)))
        .and_then(|(agent, command)| Some((agent.get(), agent::parse(&command)?)));
    let Some((id, command)) = parsed else {
        let start = request.get(..64.min(request.len())).unwrap_or_default();
        let start = String::from_utf8_lossy(start).into_owned();
        inner.violations.push(format!("not understood: {start:?}"));
        return (Reaction::Answer("err Internal error".into()), None);
    };
    let agent = inner.agents.entry(id).or_default();
    let mut acknowledgement = None;
    let mut healthy = |agent: &mut Agent, ack: Option<(i64, String)>| {
        let (answer, good) = agent.answer(&command, inner.keep_bytes);
        if !good {
            let text = String::from_utf8_lossy(&answer);
            inner
                .violations
                .push(format!("agent {id:03} to {}: {text}", command.step));
        }
        if good && command.step == "upgrade" && command.form == Form::Json {
            acknowledgement = ack.map(|(error, status)| (id, error, status));
        }
        Reaction::Answer(answer)
    };
    let reaction = match rules::find(&mut inner.rules, id, &command.step) {
        None => healthy(agent, Some((0, "Done".to_owned()))),
        Some(Action::Acknowledge(ack)) => healthy(agent, ack),
        Some(Action::Answer(answer)) => {
            if answer.is_empty() || !answer.starts_with(b"err") {
                // It did what it was told and only its words are odd.
                let _ = agent.answer(&command, inner.keep_bytes);
            }
            Reaction::Answer(answer)
        }
        Some(Action::Close) => Reaction::Close,
        Some(Action::Hang) => Reaction::Hang,
        Some(Action::Raw(bytes)) => Reaction::Raw(bytes),
    };
    inner.frames.push(Frame {
        agent: id,
        step: command.step,
        form: command.form,
        bytes: if inner.keep_bytes {
            request.clone()
        } else {
            Bytes::new()
        },
        answer: match &reaction {
            Reaction::Answer(answer) => Some(answer.clone()),
            _ => None,
        },
    });
    (reaction, acknowledgement)
}

/// Sends an acknowledgement, again and again if the fake is set to that, until
/// the agent is told to stop.
async fn keep_acknowledging(state: Arc<State>, agent: u32, error: i64, status: String) {
    let delay = state.lock().ack_delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    loop {
        let (socket, interval) = {
            let inner = state.lock();
            if !inner.agents.get(&agent).is_some_and(|agent| agent.reports) {
                return;
            }
            (inner.upgrade_socket.clone(), inner.ack_interval)
        };
        if let Some(socket) = socket {
            // Nobody there: a later repetition may reach it.
            let _ = send_acknowledgement(&socket, agent, error, &status).await;
        }
        match interval {
            Some(interval) => tokio::time::sleep(interval).await,
            None => return,
        }
    }
}

async fn send_acknowledgement(
    socket: &Path,
    agent: u32,
    error: i64,
    status: &str,
) -> io::Result<()> {
    let message = agent::acknowledgement(agent, error, status);
    // Closed without reading an answer, as the event pipeline does.
    Client::connect(socket).await?.send(message).await
}
