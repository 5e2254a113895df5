//! A fleet of simulated agents: a transport, and what becomes of each installation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use wpk_api::{AgentId, AgentInfo, ConnectionStatus, Transport, TransportError, Version};
use wpk_testkit::memory::{Hands, MemoryDirectory, agent, take_apart};

/// What the agents ran before.
pub const BEFORE: &str = "Wazuh v4.7.0";
/// What they are sent.
pub const TARGET: Version = Version::new(4, 14, 9);

/// What becomes of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// It reports failure.
    Fails,
    /// It reports success, and runs what it ran.
    Lies,
    /// It runs the new version and never says so.
    Mute,
    /// Nothing is ever heard of this installation; it runs what it ran.
    Lost,
}

/// A number for something of this fleet; the same at every run.
pub fn draw(what: u64, kind: u64) -> u64 {
    let mut x = what.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 29)
}

#[derive(Default)]
struct State {
    infos: BTreeMap<AgentId, AgentInfo>,
    hands: HashMap<AgentId, Hands>,
    /// How often each was told to run its installer.
    told: HashMap<AgentId, u64>,
    /// Of how many installations in a hundred nothing good comes.
    bad: u64,
}

/// The agents.
pub struct Agents {
    state: Mutex<State>,
    pub directory: Arc<MemoryDirectory>,
    begun: mpsc::UnboundedSender<AgentId>,
}

/// Installers that begin.
pub type Begun = mpsc::UnboundedReceiver<AgentId>;

impl Agents {
    /// So many, half in group `north`, half in `south`, of which `bad` percent of the
    /// installations end badly.
    pub fn new(count: u32, bad: u64) -> (Arc<Self>, Begun) {
        let (begun, begins) = mpsc::unbounded_channel();
        let infos = (1..=count).map(|id| {
            let mut info = agent(id, BEFORE);
            info.group = Some(if id % 2 == 0 { "north" } else { "south" }.into());
            (info.id, info)
        });
        let state = State {
            infos: infos.collect(),
            bad,
            ..State::default()
        };
        let directory = Arc::new(MemoryDirectory::of(state.infos.values().cloned()));
        let agents = Self {
            state: Mutex::new(state),
            directory,
            begun,
        };
        (Arc::new(agents), begins)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of an agent is another.
    pub fn change(&self, id: AgentId, how: impl FnOnce(&mut AgentInfo)) {
        let mut state = self.state();
        let info = state.infos.get_mut(&id).expect("an agent of this fleet");
        how(info);
        self.directory.put([info.clone()]);
    }

    /// The installer of an agent is through: what becomes of it.
    pub fn installed(&self, id: AgentId) -> Fate {
        let (told, bad) = {
            let state = self.state();
            (state.told.get(&id).copied().unwrap_or(0), state.bad)
        };
        let dice = draw(u64::from(id.get()), 7 + told);
        let fate = match (dice % 100 < bad, dice / 100 % 4) {
            (false, _) => Fate::Good,
            (true, 0) => Fate::Lies,
            (true, 1) => Fate::Mute,
            (true, 2) if bad < 100 => Fate::Lost,
            (true, _) => Fate::Fails,
        };
        if matches!(fate, Fate::Good | Fate::Mute) {
            self.change(id, |info| info.version = Some(format!("Wazuh {TARGET}")));
        }
        fate
    }

    pub fn runs(&self, id: AgentId) -> Option<Version> {
        self.state().infos.get(&id)?.parsed_version()
    }

    pub fn told(&self, id: AgentId) -> u64 {
        self.state().told.get(&id).copied().unwrap_or(0)
    }

    pub fn told_all(&self) -> u64 {
        self.state().told.values().sum()
    }

    pub fn ids(&self) -> Vec<AgentId> {
        self.state().infos.keys().copied().collect()
    }

    /// One in ten is away half of the time, a turn each.
    pub fn come_and_go(&self, turn: u64) {
        for id in self.ids() {
            let number = u64::from(id.get());
            if draw(number, 2).is_multiple_of(10) {
                let away = (turn + draw(number, 3)).is_multiple_of(2);
                self.change(id, |info| {
                    info.connection = match away {
                        true => ConnectionStatus::Disconnected,
                        false => ConnectionStatus::Active,
                    };
                });
            }
        }
    }

    pub fn all_come_back(&self) {
        for id in self.ids() {
            self.change(id, |info| info.connection = ConnectionStatus::Active);
        }
    }
}

#[async_trait]
impl Transport for Agents {
    async fn request(&self, agent: AgentId, command: Bytes) -> Result<Bytes, TransportError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut state = self.state();
        let online = |info: &AgentInfo| info.connection == ConnectionStatus::Active;
        if !state.infos.get(&agent).is_some_and(online) {
            return Err(TransportError::NotConnected(agent));
        }
        let Some(sent) = take_apart(&command) else {
            return Err(TransportError::Refused {
                agent,
                reason: "err Unknown command".into(),
            });
        };
        let begins = sent.step == "upgrade";
        let (answer, _) = state.hands.entry(agent).or_default().answer(&sent, false);
        if begins {
            *state.told.entry(agent).or_default() += 1;
            let _ = self.begun.send(agent);
        }
        Ok(answer)
    }
}
