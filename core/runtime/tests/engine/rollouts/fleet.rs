//! Agents that install what they are sent, come back with another version, fail, or say
//! nothing; and rollouts asked for as the tool does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{AgentInfo, ConnectionStatus, Version};
use wpk_testkit::memory::agent;

use crate::stand::{NEWEST, Stand, id};

/// How long an agent takes to install.
const INSTALLS: Duration = Duration::from_secs(5);
/// How long is waited for what a rollout does.
const PATIENCE: Duration = Duration::from_secs(8 * 3_600);

/// What becomes of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs the new version and says so.
    Good,
    /// It says that it failed.
    Fails,
    /// It says that it went well, and runs the old one.
    Lies,
    /// It says nothing, and does not come back.
    Silent,
}

/// The agents of a story.
pub struct Fleet {
    pub agents: BTreeMap<u32, AgentInfo>,
    pub fates: BTreeMap<u32, Fate>,
    /// What becomes of all others.
    pub usual: Fate,
    /// Installers begun, in order.
    pub begun: Vec<u32>,
    at_work: BTreeMap<u32, tokio::time::Instant>,
    seen: BTreeMap<u32, usize>,
}

impl Fleet {
    /// Agents 1 to `last` of version 4.7.0 in group `prod`, and nobody else.
    pub fn of(stand: &Stand, last: u32) -> Self {
        let mut agents = BTreeMap::new();
        for number in 1..=last.max(10) {
            let mut info = agent(number, "Wazuh v4.7.0");
            info.group = Some(if number <= last { "prod" } else { "other" }.into());
            if number <= last {
                agents.insert(number, info.clone());
            }
            stand.directory.put([info]);
        }
        Self {
            agents,
            fates: BTreeMap::new(),
            usual: Fate::Good,
            begun: Vec::new(),
            at_work: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Something of an agent is another.
    pub fn change(&mut self, stand: &Stand, number: u32, how: impl FnOnce(&mut AgentInfo)) {
        let info = self.agents.get_mut(&number).unwrap();
        how(info);
        stand.directory.put([info.clone()]);
        match info.connection {
            ConnectionStatus::Active => stand.transport.connect(id(number)),
            _ => stand.transport.disconnect(id(number)),
        }
    }

    /// An agent's version is another.
    fn runs(&mut self, stand: &Stand, number: u32, version: Version) {
        self.change(stand, number, |info| {
            info.version = Some(format!("Wazuh {version}"));
        });
    }

    /// One step of the world.
    pub async fn step(&mut self, stand: &Stand) {
        // Nobody is waited for: time may go by faster.
        let idle = self.at_work.is_empty();
        tokio::time::sleep(Duration::from_millis(if idle { 1_000 } else { 100 })).await;
        let numbers: Vec<u32> = self.agents.keys().copied().collect();
        for number in numbers {
            let begun = stand.transport.begun(id(number));
            let seen = self.seen.entry(number).or_default();
            if begun > *seen {
                assert_eq!(begun, *seen + 1, "agent {number} is told once at a time");
                *seen = begun;
                self.begun.push(number);
                self.at_work.insert(number, tokio::time::Instant::now());
            }
        }
        let through: Vec<u32> = (self.at_work.iter())
            .filter(|(_, since)| since.elapsed() >= INSTALLS)
            .map(|(number, _)| *number)
            .collect();
        for number in through {
            self.at_work.remove(&number);
            let target = hop(stand, number);
            match self.fates.get(&number).copied().unwrap_or(self.usual) {
                Fate::Good => {
                    self.runs(stand, number, target);
                    assert_eq!(stand.word(number, 0, "Done").await, 0);
                }
                Fate::Fails => assert_eq!(stand.word(number, 1, "Failed").await, 0),
                Fate::Lies => assert_eq!(stand.word(number, 0, "Done").await, 0),
                Fate::Silent => {}
            }
        }
    }

    /// The world goes on until something is so; how long that took.
    pub async fn until(&mut self, stand: &Stand, what: impl Fn(&Self, &Stand) -> bool) -> Duration {
        let begun = tokio::time::Instant::now();
        while !what(self, stand) {
            if begun.elapsed() > PATIENCE {
                panic!("it never comes: {}", status(stand, "prod").await);
            }
            self.step(stand).await;
        }
        begun.elapsed()
    }

    /// The world goes on for so long.
    pub async fn pass(&mut self, stand: &Stand, seconds: u64) {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        while tokio::time::Instant::now() < end {
            self.step(stand).await;
        }
    }

    /// The world goes on until a rollout is in this state.
    pub async fn until_state(&mut self, stand: &Stand, name: &str, state: &str) -> Value {
        let begun = tokio::time::Instant::now();
        loop {
            let status = status(stand, name).await;
            if status["state"] == state {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "never {state}: {status}");
            self.pass(stand, 5).await;
        }
    }

    /// Which agents run this.
    pub fn running(&self, version: Version) -> BTreeSet<u32> {
        let text = format!("Wazuh {version}");
        let running = self
            .agents
            .iter()
            .filter(|(_, info)| info.version.as_deref() == Some(&text));
        running.map(|(number, _)| *number).collect()
    }
}

/// The version that an agent was sent last.
fn hop(stand: &Stand, number: u32) -> Version {
    let task = stand.task(number);
    stand
        .store
        .tables()
        .attempts_of(&[task.id])
        .remove(0)
        .map_or(NEWEST, |attempt| attempt.target.unwrap_or(NEWEST))
}

/// Applies a definition as it is planned; the refusal's words.
pub async fn apply(stand: &Stand, definition: &str) -> Result<Vec<Value>, String> {
    let planned = ask(stand, "rollout_plan", json!({"definition": definition})).await?;
    let digest = planned[0]["digest"].clone();
    let asked = json!({"definition": definition, "digest": digest});
    ask(stand, "rollout_apply", asked).await
}

/// The items of an answer, or the refusal's words.
pub async fn ask(stand: &Stand, command: &str, parameters: Value) -> Result<Vec<Value>, String> {
    let answer = stand.ask(command, parameters).await;
    match answer["error"].as_i64() {
        Some(0) => Ok(answer["data"].as_array().unwrap().clone()),
        _ => Err(answer["message"].to_string() + &answer["data"].to_string()),
    }
}

/// Does something to a rollout.
pub async fn wish(stand: &Stand, command: &str, name: &str) -> Value {
    let mut items = ask(stand, command, json!({"name": name})).await.unwrap();
    items.remove(0)
}

pub async fn status(stand: &Stand, name: &str) -> Value {
    wish(stand, "rollout_status", name).await
}

/// Agent `number` in a rollout.
pub async fn explain(stand: &Stand, name: &str, number: u32) -> Value {
    let asked = json!({"name": name, "agent": number});
    ask(stand, "rollout_explain", asked)
        .await
        .unwrap()
        .remove(0)
}

/// A rollout of all in `prod` to the newest release, of these waves.
pub fn definition(waves: &str) -> String {
    format!(
        "[[rollout]]\nname = \"prod\"\nselect = \"group = prod\"\ntarget = \"{NEWEST}\"\n\
         retries = 0\n{waves}"
    )
}

/// A wave of all.
pub const ALL: &str = "[[rollout.wave]]\nname = \"all\"\nsize = \"100%\"\nsoak = \"10s\"\n";
