//! What outlives the daemon: the agents, what is on its way to and from them, the
//! time, and the book of what the table said.
//!
//! Time goes on through the daemon's lives: while one runs it is tokio's, paused,
//! so that it jumps to whatever comes next; between two it is added up by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use wpk_api::{AgentId, ConnectionStatus, TaskId, Version};
use wpk_runtime::Clock;
use wpk_testkit::memory::{MemoryDirectory, MemoryProvider, agent as info};

use crate::agent::{Agent, End, Lore};
use crate::book::Book;
use crate::dice::Dice;
use crate::oracle::{Fault, Knows};

/// Where the stories begin.
const EPOCH: i64 = 1_700_000_000;
/// Releases; the last one is the newest, the first one too old to report.
pub const RELEASES: [Version; 3] = [
    Version::new(4, 0, 5),
    Version::new(4, 13, 0),
    Version::new(4, 14, 9),
];
/// Agents above this one get tasks from another module, through the task socket.
pub const LAST_OF_OURS: u32 = 190;
/// All agents.
pub const AGENTS: u32 = 200;

/// What happens at a given time.
#[derive(Debug)]
pub enum Event {
    /// A command reaches an agent.
    Arrives {
        agent: AgentId,
        command: Bytes,
        task: Option<TaskId>,
        reply: oneshot::Sender<Bytes>,
    },
    /// An installer ends.
    Ends { agent: AgentId, run: usize },
    /// An agent is connected again.
    Online(AgentId),
    /// An agent repeats its result for the nth time.
    Speaks {
        agent: AgentId,
        run: usize,
        nth: u32,
    },
}

/// A word of an agent that is to be passed on.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    pub agent: AgentId,
    pub end: End,
}

/// All agents, and what is on its way.
pub struct State {
    agents: Vec<Agent>,
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
    pub calm: bool,
    /// Files that are whole.
    pub files: BTreeSet<Bytes>,
    /// How often a command to run the installer was sent, for each task.
    told: BTreeMap<TaskId, usize>,
}

/// The world.
pub struct World {
    pub directory: Arc<MemoryDirectory>,
    pub provider: Arc<MemoryProvider>,
    state: Mutex<State>,
    book: Mutex<Book>,
    passed: Mutex<(Duration, Option<Instant>)>,
    step: AtomicI64,
    /// Something is to happen that was not known before.
    pub news: Notify,
    /// An agent is connected again.
    pub back: Notify,
}

impl Clock for World {
    fn now(&self) -> i64 {
        let passed = i64::try_from(self.time().as_secs()).unwrap();
        EPOCH + passed + self.step.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64) -> Self {
        let id = |id: u32| AgentId::new(id.into()).unwrap();
        let agent = |number: u32| {
            let version = match number % 10 {
                0 => Version::new(4, 0, 9),
                _ => Version::new(4, 7, 0),
            };
            Agent::new(id(number), version, Dice::of(seed, number.into()))
        };
        let agents: Vec<Agent> = (1..=AGENTS).map(agent).collect();
        let world = Self {
            directory: Arc::default(),
            provider: Arc::default(),
            state: Mutex::new(State {
                agents,
                events: BTreeMap::new(),
                count: 0,
                calm: false,
                files: BTreeSet::new(),
                told: BTreeMap::new(),
            }),
            book: Mutex::default(),
            passed: Mutex::new((Duration::ZERO, None)),
            step: AtomicI64::new(0),
            news: Notify::new(),
            back: Notify::new(),
        };
        for (nth, version) in RELEASES.into_iter().enumerate() {
            let content = vec![nth as u8 + 1; 20_000 + 7_000 * nth];
            world.provider.publish(version, content.clone());
            world.state().files.insert(content.into());
        }
        for number in 1..=AGENTS {
            world.enter(&world.state().agents[number as usize - 1]);
        }
        world
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// How long the story has lasted.
    pub fn time(&self) -> Duration {
        let (before, since) = *lock(&self.passed);
        before + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The daemon is started; to be called in its runtime.
    pub fn daemon_starts(&self) {
        lock(&self.passed).1 = Some(Instant::now());
    }

    /// The daemon is gone, and will be for so long.
    pub fn daemon_ends(&self, away: Duration) {
        let now = self.time();
        *lock(&self.passed) = (now + away, None);
    }

    /// Somebody sets the machine's clock.
    pub fn step_clock(&self, seconds: i64) {
        self.step.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Something is going to happen.
    pub fn plan(&self, after: Duration, event: Event) {
        let at = self.time() + after;
        let mut state = self.state();
        state.count += 1;
        let key = (at, state.count);
        state.events.insert(key, event);
        drop(state);
        self.news.notify_one();
    }

    /// What is due next, and in how long.
    pub fn next(&self) -> Option<Duration> {
        let state = self.state();
        let ((at, _), _) = state.events.first_key_value()?;
        Some(at.saturating_sub(self.time()))
    }

    /// Carries out what is due; the words that agents say.
    pub fn goes_on(&self) -> Vec<Word> {
        let mut words = Vec::new();
        loop {
            let now = self.time();
            let mut state = self.state();
            let due = state
                .events
                .first_entry()
                .filter(|first| first.key().0 <= now);
            let Some(event) = due.map(|first| first.remove()) else {
                return words;
            };
            drop(state);
            words.extend(self.happens(event, now));
        }
    }

    fn happens(&self, event: Event, now: Duration) -> Option<Word> {
        match event {
            Event::Arrives {
                agent,
                command,
                task,
                reply,
            } => {
                self.hears(agent, &command, task, now, reply);
            }
            Event::Ends { agent, run } => self.installer_ends(agent, run, now),
            Event::Online(agent) => self.comes_back(agent, now),
            Event::Speaks { agent, run, nth } => return self.speaks(agent, run, nth),
        }
        None
    }

    fn hears(
        &self,
        agent: AgentId,
        command: &Bytes,
        task: Option<TaskId>,
        now: Duration,
        reply: oneshot::Sender<Bytes>,
    ) {
        let mut state = self.state();
        let State {
            agents,
            files,
            calm,
            ..
        } = &mut *state;
        let lore = Lore {
            now,
            calm: *calm,
            files,
        };
        let hearer = &mut agents[agent.get() as usize - 1];
        let heard = hearer.hears(command, task, &lore);
        let takes = heard.began.map(|run| (run, hearer.runs[run].takes));
        drop(state);
        if let Some(wrong) = heard.wrong {
            self.book()
                .fault(Fault::Twice, format!("agent {agent}: {wrong}"));
        }
        if let Some((run, takes)) = takes {
            self.plan(takes, Event::Ends { agent, run });
        }
        // Who asked may be gone.
        let _ = reply.send(heard.answer);
    }

    fn installer_ends(&self, agent: AgentId, run: usize, now: Duration) {
        let (speaks, away) = {
            let mut state = self.state();
            let agent = state.agent(agent);
            let speaks = agent.ends(run);
            (speaks, agent.dice.seconds(2, 60))
        };
        self.leaves(agent, away);
        let mut state = self.state();
        state.agent(agent).ready_from = now + away;
        drop(state);
        if speaks {
            self.plan(
                away + Duration::from_secs(60),
                Event::Speaks { agent, run, nth: 0 },
            );
        }
    }

    /// An agent is not connected for a while.
    pub fn leaves(&self, agent: AgentId, away: Duration) {
        {
            let mut state = self.state();
            state.agent(agent).online = false;
            self.enter(state.agent(agent));
        }
        self.plan(away, Event::Online(agent));
    }

    fn comes_back(&self, agent: AgentId, now: Duration) {
        let mut state = self.state();
        let back = state.agent(agent);
        back.online = true;
        back.ready_from = now + back.dice.seconds(0, 20);
        self.enter(back);
        drop(state);
        self.back.notify_waiters();
    }

    /// What the directory knows of an agent.
    fn enter(&self, agent: &Agent) {
        let mut row = info(agent.id.get(), &format!("Wazuh {}", agent.version));
        row.connection = match agent.online {
            true => ConnectionStatus::Active,
            false => ConnectionStatus::Disconnected,
        };
        self.directory.put([row]);
    }

    fn speaks(&self, agent: AgentId, run: usize, nth: u32) -> Option<Word> {
        let pause = Duration::from_secs(30 << nth.min(6));
        let mut state = self.state();
        let speaker = state.agent(agent);
        if speaker.result != Some(run) {
            return None;
        }
        let word = speaker.online.then(|| Word {
            agent,
            end: speaker.word(run),
        });
        drop(state);
        let nth = nth + u32::from(word.is_some());
        self.plan(pause, Event::Speaks { agent, run, nth });
        word
    }

    /// A command to run the installer is sent: for which task, and whether for the
    /// first time.
    pub fn tells(&self, agent: AgentId) -> Option<TaskId> {
        let task = self.book().in_progress(agent)?;
        let mut state = self.state();
        let told = state.told.entry(task).or_default();
        *told += 1;
        if *told > 1 {
            let what = format!("agent {agent} is told {told} times to install for task {task}");
            drop(state);
            self.book().fault(Fault::Twice, what);
        }
        Some(task)
    }

    /// What an agent knows of a task.
    pub fn knows(&self, agent: AgentId, task: TaskId, begun: bool) -> Knows {
        self.state().agent(agent).knows(task, begun)
    }

    /// Agents that have not said everything yet.
    pub fn unquiet(&self) -> Vec<AgentId> {
        let now = self.time();
        let state = self.state();
        let unquiet = state.agents.iter().filter(|agent| !agent.is_quiet(now));
        unquiet.map(|agent| agent.id).collect()
    }

    /// From now on everything goes well.
    pub fn becomes_calm(&self) {
        let mut state = self.state();
        state.calm = true;
        for agent in &mut state.agents {
            agent.temper = 0;
        }
        drop(state);
        self.directory.set_down(None);
        self.provider.release();
    }
}

impl State {
    pub fn agent(&mut self, agent: AgentId) -> &mut Agent {
        &mut self.agents[agent.get() as usize - 1]
    }

    pub fn all(&mut self) -> &mut [Agent] {
        &mut self.agents
    }

    /// How many installers ran.
    pub fn installers(&self) -> usize {
        self.agents.iter().map(|agent| agent.runs.len()).sum()
    }
}
