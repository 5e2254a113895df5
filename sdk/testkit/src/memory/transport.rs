//! A transport with simulated agents behind it (PROTOCOL.md, sections 5 and 7).
//! Each exists and is healthy unless a rule says otherwise: it puts the file
//! together, answers its digest, and says `0` to `upgrade`.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use wpk_api::{AgentId, CancellationToken, PEER_MAX_COMMAND, TaskId, Transport, TransportError};

use crate::remoted::agent::{Agent, parse};

/// What an agent, or the channel to it, says instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// These words; the agent does nothing.
    Words(&'static str),
    /// These words, after it has done what it was told.
    Afterwards(&'static str),
    /// Nothing in time. It has done what it was told.
    TimeOut,
    /// The connection ends. It has done what it was told.
    Close,
    /// The daemon is told to stop ([`MemoryTransport::goes_with`]), and the
    /// connection ends at the same moment.
    Stop,
    /// The channel refuses the command in these words.
    Refuse(&'static str),
    /// It is not connected.
    NotConnected,
    /// The channel is not there.
    Unavailable,
    /// Nothing, until [`MemoryTransport::release`]; then it is healthy.
    Hang,
    /// Its usual answer, after this long.
    After(Duration),
}

#[derive(Debug)]
struct Rule {
    agent: AgentId,
    step: &'static str,
    say: Say,
    times: usize,
}

#[derive(Debug, Default)]
struct State {
    agents: HashMap<AgentId, Agent>,
    rules: Vec<Rule>,
    frames: Vec<(AgentId, String, usize)>,
    /// What each agent's commands began with.
    forms: HashMap<AgentId, Vec<String>>,
    begun: HashMap<AgentId, usize>,
    away: HashSet<AgentId>,
    /// Those that take the ids of tasks.
    names: HashSet<AgentId>,
    /// Those that take JSON whatever their version is.
    json: HashSet<AgentId>,
    /// The task that an agent's last command of a step named.
    named: HashMap<(AgentId, String), Option<i64>>,
    stop: CancellationToken,
    in_flight: usize,
    most_in_flight: usize,
}

/// The transport.
#[derive(Debug)]
pub struct MemoryTransport {
    state: Mutex<State>,
    came: Notify,
    released: Notify,
    back: Notify,
    max_command: usize,
}

impl Default for MemoryTransport {
    fn default() -> Self {
        Self::carrying(PEER_MAX_COMMAND)
    }
}

impl MemoryTransport {
    /// One that carries commands of up to `max_command` bytes.
    pub fn carrying(max_command: usize) -> Self {
        Self {
            state: Mutex::default(),
            came: Notify::new(),
            released: Notify::new(),
            back: Notify::new(),
            max_command,
        }
    }

    /// From now on an agent says this to a step, `times` times.
    pub fn rule(&self, agent: AgentId, step: &'static str, say: Say, times: usize) {
        self.state().rules.push(Rule {
            agent,
            step,
            say,
            times,
        });
    }

    /// All agents are healthy again, and those that hang go on.
    pub fn release(&self) {
        self.state().rules.clear();
        self.released.notify_waiters();
    }

    /// What [`Say::Stop`] cancels.
    pub fn goes_with(&self, stop: &CancellationToken) {
        self.state().stop = stop.clone();
    }

    /// An agent is not connected, until [`connect`](Self::connect).
    pub fn disconnect(&self, agent: AgentId) {
        self.state().away.insert(agent);
    }

    /// An agent is connected again.
    pub fn connect(&self, agent: AgentId) {
        self.state().away.remove(&agent);
        self.back.notify_waiters();
    }

    /// From now on an agent takes the id of its task with `upgrade`.
    pub fn names_tasks_of(&self, agent: AgentId) {
        self.state().names.insert(agent);
    }

    /// From now on an agent takes JSON and reports, whatever version it names.
    pub fn takes_json_of(&self, agent: AgentId) {
        self.state().json.insert(agent);
    }

    /// The first bytes of the commands an agent got, up to the first space.
    pub fn forms(&self, agent: AgentId) -> Vec<String> {
        self.state().forms.get(&agent).cloned().unwrap_or_default()
    }

    /// The task that the last such command to an agent named.
    pub fn named(&self, agent: AgentId, step: &str) -> Option<TaskId> {
        let named = self.state().named.get(&(agent, step.to_owned())).copied();
        named.flatten().map(TaskId)
    }

    /// The agents in the order in which they were asked for a step.
    pub fn order_of(&self, step: &str) -> Vec<AgentId> {
        let state = self.state();
        let such = state.frames.iter().filter(|(_, one, _)| one == step);
        such.map(|(agent, ..)| *agent).collect()
    }

    /// The most commands that were under way at a time.
    pub fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }

    /// The steps an agent was asked for, in order.
    pub fn steps(&self, agent: AgentId) -> Vec<String> {
        let state = self.state();
        let own = state.frames.iter().filter(|(of, ..)| *of == agent);
        own.map(|(_, step, _)| step.clone()).collect()
    }

    /// How often an agent was asked for a step.
    pub fn count(&self, agent: AgentId, step: &str) -> usize {
        self.steps(agent).iter().filter(|one| *one == step).count()
    }

    /// The longest command an agent got, in bytes.
    pub fn longest(&self, agent: AgentId) -> usize {
        let state = self.state();
        let own = state.frames.iter().filter(|(of, ..)| *of == agent);
        own.map(|(.., length)| *length).max().unwrap_or_default()
    }

    /// What an agent has received since its last `open`.
    pub fn content(&self, agent: AgentId) -> Bytes {
        let state = self.state();
        let agent = state.agents.get(&agent);
        agent.map(Agent::content).unwrap_or_default()
    }

    /// How often an agent began an installer.
    pub fn begun(&self, agent: AgentId) -> usize {
        self.state().begun.get(&agent).copied().unwrap_or_default()
    }

    /// Waits until an agent was asked `nth` times for a step. The caller sets the
    /// deadline.
    pub async fn came(&self, agent: AgentId, step: &str, nth: usize) {
        loop {
            let came = self.came.notified();
            if self.count(agent, step) >= nth {
                return;
            }
            came.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a command, and finds the rule for it.
    fn take(&self, agent: AgentId, command: &Bytes) -> Option<Say> {
        let (step, task) = match parse(command) {
            Some(command) => (command.step.clone(), command.task()),
            None => ("?".to_owned(), None),
        };
        let mut state = self.state();
        state.named.insert((agent, step.clone()), task);
        let first = command.split(|byte| *byte == b' ').next();
        let form = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
        state.forms.entry(agent).or_default().push(form);
        let rule = state
            .rules
            .iter_mut()
            .find(|rule| rule.agent == agent && rule.step == step && rule.times > 0);
        let say = rule.map(|rule| {
            rule.times -= 1;
            rule.say.clone()
        });
        state.frames.push((agent, step, command.len()));
        drop(state);
        self.came.notify_waiters();
        say
    }

    /// What a healthy agent does.
    fn carry_out(&self, agent: AgentId, command: &Bytes) -> Bytes {
        let Some(command) = parse(command) else {
            return Bytes::from_static(b"err Command not found");
        };
        let mut state = self.state();
        let (answer, good) = state
            .agents
            .entry(agent)
            .or_default()
            .answer(&command, true);
        if good && command.step == "upgrade" {
            *state.begun.entry(agent).or_default() += 1;
        }
        answer
    }
}

/// Counts a command as under way while it lives.
struct InFlight<'a>(&'a MemoryTransport);

impl<'a> InFlight<'a> {
    fn new(transport: &'a MemoryTransport) -> Self {
        let mut state = transport.state();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        drop(state);
        Self(transport)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        let refused = |reason: &str| TransportError::Refused {
            agent,
            reason: reason.to_owned(),
        };
        let closed = |reason: &str| TransportError::Closed {
            agent,
            reason: reason.to_owned(),
        };
        let _in_flight = InFlight::new(self);
        if self.state().away.contains(&agent) {
            return Err(TransportError::NotConnected(agent));
        }
        match self.take(agent, &command) {
            None => Ok(self.carry_out(agent, &command)),
            Some(Say::Words(words)) => Ok(Bytes::from_static(words.as_bytes())),
            Some(Say::Afterwards(words)) => {
                self.carry_out(agent, &command);
                Ok(Bytes::from_static(words.as_bytes()))
            }
            Some(Say::TimeOut) => {
                self.carry_out(agent, &command);
                tokio::time::sleep(Duration::from_secs(75)).await;
                Err(TransportError::TimedOut(agent))
            }
            Some(Say::Close) => {
                self.carry_out(agent, &command);
                Err(closed("it hung up"))
            }
            Some(Say::Stop) => {
                self.state().stop.cancel();
                Err(closed("the channel ends"))
            }
            Some(Say::Refuse(reason)) => Err(refused(reason)),
            Some(Say::NotConnected) => Err(TransportError::NotConnected(agent)),
            Some(Say::Unavailable) => Err(TransportError::Unavailable("it is away".to_owned())),
            Some(Say::Hang) => {
                self.released.notified().await;
                Ok(self.carry_out(agent, &command))
            }
            Some(Say::After(pause)) => {
                tokio::time::sleep(pause).await;
                Ok(self.carry_out(agent, &command))
            }
        }
    }

    async fn connected(&self, agent: AgentId) {
        loop {
            let back = self.back.notified();
            if !self.state().away.contains(&agent) {
                return;
            }
            back.await;
        }
    }

    async fn names_tasks(&self, agent: AgentId) -> bool {
        self.state().names.contains(&agent)
    }

    async fn takes_json(&self, agent: AgentId) -> bool {
        self.state().json.contains(&agent)
    }

    fn max_command(&self) -> usize {
        self.max_command
    }
}
