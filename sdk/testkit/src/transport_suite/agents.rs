//! The simulated agents: what they do is written in the command, so that they
//! need no rules. The author's stand hands every command that arrives to
//! [`Agents::command`] and does what it says.

use std::collections::HashMap;
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use wpk_api::AgentId;

use crate::suite::{pattern, within};

/// What an agent does about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Sends this answer.
    Answer(Bytes),
    /// Breaks its connection without an answer. If its connection is one of
    /// its own, it comes back by itself.
    Vanish,
}

/// All agents behind a transport.
#[derive(Debug)]
pub struct Agents {
    seen: Mutex<HashMap<AgentId, Vec<Bytes>>>,
    arrived: Notify,
    held: watch::Sender<bool>,
}

impl Agents {
    pub(super) fn new() -> Self {
        Self {
            seen: Mutex::default(),
            arrived: Notify::new(),
            held: watch::channel(true).0,
        }
    }

    /// An agent got a command: what it does now. Takes as long as the agent
    /// does, possibly for ever, so a stand must not let other agents wait for
    /// it, and should not let further commands of the same agent wait.
    pub async fn command(&self, agent: AgentId, command: &[u8]) -> Reaction {
        let seen = Bytes::copy_from_slice(command);
        self.seen().entry(agent).or_default().push(seen);
        self.arrived.notify_waiters();
        if command.starts_with(b"vanish") {
            return Reaction::Vanish;
        }
        if command.starts_with(b"silent") {
            pending::<()>().await;
        }
        if command.starts_with(b"held") {
            let mut held = self.held.subscribe();
            // The sender lives as long as this.
            let _ = held.wait_for(|held| !*held).await;
            if command.starts_with(b"held, then vanish") {
                return Reaction::Vanish;
            }
        }
        Reaction::Answer(answer(agent, command))
    }

    /// Lets go what is held, now and in future, or holds again.
    pub(super) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    /// What an agent got so far.
    pub(super) fn got(&self, agent: AgentId) -> Vec<Bytes> {
        self.seen().get(&agent).cloned().unwrap_or_default()
    }

    /// Waits until these agents together got so many commands that start so.
    pub(super) async fn wait_for(&self, agents: &[AgentId], start: &[u8], count: usize) {
        let enough = async {
            loop {
                let arrived = self.arrived.notified();
                let mut arrived = std::pin::pin!(arrived);
                arrived.as_mut().enable();
                let got: usize = agents
                    .iter()
                    .map(|agent| self.got(*agent))
                    .map(|got| got.iter().filter(|one| one.starts_with(start)).count())
                    .sum();
                if got >= count {
                    return;
                }
                arrived.await;
            }
        };
        within("commands on their way to the agents", enough).await;
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<AgentId, Vec<Bytes>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of an agent to a command: different for each agent and command.
/// `long N` is answered with N bytes, `bytes` with every byte there is.
pub(super) fn answer(agent: AgentId, command: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(command.get(..32.min(command.len())).unwrap_or_default());
    if let Some(length) = text.strip_prefix("long ") {
        return pattern(length.trim().parse().unwrap_or(1));
    }
    if text == "bytes" {
        return (0..=255).collect::<Vec<u8>>().into();
    }
    let mut hasher = DefaultHasher::new();
    command.hash(&mut hasher);
    let digest = hasher.finish();
    format!("agent {agent} got {} bytes, {digest:016x}", command.len()).into()
}
