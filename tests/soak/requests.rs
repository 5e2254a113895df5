//! Who asks: clients of both sockets, agents whose words are passed on, and
//! whoever breaks things around the daemon and mends them again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wpk_api::{AgentId, Endpoint, Peer, ProviderError, Request, RequestService, TaskId, TaskStore};
use wpk_testkit::memory::Trouble;

use crate::agent::End;
use crate::book::look;
use crate::dice::Dice;
use crate::life::NODE;
use crate::oracle::Fault;
use crate::story::Until;
use crate::world::{AGENTS, LAST_OF_OURS, RELEASES, Word, World};

/// The longest that any request may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long everything may take at the end.
const QUIET_WITHIN: Duration = Duration::from_secs(12 * 3_600);

/// The daemon's service, as its clients reach it.
#[derive(Clone)]
pub struct Service {
    pub world: Arc<World>,
    pub calls: Arc<dyn RequestService>,
}

impl Service {
    async fn call(&self, endpoint: Endpoint, peer: Peer, request: Value) -> Vec<Value> {
        let payload = request.to_string().into();
        let call = self.calls.call(Request {
            endpoint,
            peer,
            payload,
        });
        let Ok(answer) = tokio::time::timeout(PATIENCE, call).await else {
            self.world
                .book()
                .fault(Fault::Stuck, format!("no answer to {request}"));
            return Vec::new();
        };
        let answer: Value = serde_json::from_slice(&answer.expect("an answer")).expect("JSON");
        answer["data"].as_array().cloned().unwrap_or_default()
    }

    /// At the upgrade socket; what was accepted is noted.
    async fn upgrade(&self, command: &str, parameters: Value) -> Vec<Value> {
        let request = json!({
            "origin": {"module": "api"}, "command": command, "parameters": parameters,
        });
        let items = self
            .call(Endpoint::Upgrade, Peer::Local { uid: 0 }, request)
            .await;
        if command.starts_with("upgrade") && command != "upgrade_result" {
            for task in items.iter().filter_map(|item| item["task_id"].as_i64()) {
                self.world.book().accepts(TaskId(task));
            }
        }
        items
    }

    /// At the task socket.
    async fn task(&self, command: &str, parameters: Value) -> Vec<Value> {
        let request = json!({
            "origin": {"name": NODE, "module": "upgrade_module"},
            "command": command, "parameters": parameters,
        });
        self.call(Endpoint::Task, Peer::Local { uid: 0 }, request)
            .await
    }
}

/// An agent's word comes in, by whichever way its kind of agent has.
pub async fn pass_on(service: Service, word: Word) {
    let Word { agent, end } = word;
    let (error, status, message) = end.word();
    let request = json!({"command": "upgrade_update_status", "parameters": {
        "agents": [agent.get()], "error": error, "status": status, "message": message,
    }});
    let peer = match agent.get() % 3 {
        0 => Peer::Agent(agent),
        1 => Peer::Local { uid: 0 },
        // A 4.x module tells the task manager itself, and the agent to stop then.
        _ => return tell_task_manager(&service, agent, end).await,
    };
    service.call(Endpoint::Upgrade, peer, request).await;
}

async fn tell_task_manager(service: &Service, agent: AgentId, end: End) {
    let (_, status, _) = end.word();
    let mut parameters = json!({"agents": [agent.get()], "status": status});
    if let Some(text) = end.text() {
        parameters["error_msg"] = text.into();
    }
    let items = service.task("upgrade_update_status", parameters).await;
    let heard = |item: &Value| item["error"] == 0 || item["error"] == 3;
    if items.first().is_some_and(heard) {
        let mut state = service.world.state();
        state.agent(agent).result = None;
    }
}

/// Asks for this and that, and breaks and mends things, until it is over.
pub async fn ask_around(service: Service, mut dice: Dice, until: Until) {
    tempers(&service.world, &mut dice);
    while !until.is_over(service.world.time()) {
        tokio::time::sleep(dice.seconds(1, 40)).await;
        match dice.below(100) {
            0..=54 => {
                let (service, (command, parameters)) = (service.clone(), wish(&mut dice));
                tokio::spawn(async move { service.upgrade(command, parameters).await });
            }
            55..=58 => {
                let agents = some(&mut dice, 1, AGENTS, 30);
                service
                    .upgrade("upgrade_result", json!({"agents": agents}))
                    .await;
            }
            59..=60 => drop(service.task("upgrade_cancel_tasks", json!({})).await),
            61..=64 => {
                let agents = some(&mut dice, 1, LAST_OF_OURS, 10);
                let parameters = json!({"agents": agents, "status": "In progress"});
                service.task("upgrade_update_status", parameters).await;
            }
            65..=66 => {
                let agents = some(&mut dice, 1, AGENTS, 10);
                service
                    .task("upgrade_get_status", json!({"agents": agents}))
                    .await;
            }
            67..=70 => another_module(&service, &mut dice).await,
            71..=77 => breaks(&service.world, &mut dice),
            78..=84 => mends(&service.world),
            85..=90 => {
                for agent in some(&mut dice, 1, AGENTS, 12) {
                    let away = dice.seconds(5, 1_200);
                    service.world.leaves(id(agent), away);
                }
            }
            91..=94 => {
                let step = dice.pick(&[3_600, -3_600, -30 * 86_400, 30 * 86_400]);
                service.world.step_clock(step);
            }
            95..=97 => older_words(&service, &mut dice).await,
            _ => tempers(&service.world, &mut dice),
        }
    }
}

fn id(agent: u32) -> AgentId {
    AgentId::new(agent.into()).unwrap()
}

/// Up to `most` agents of a range, some maybe twice.
fn some(dice: &mut Dice, from: u32, to: u32, most: usize) -> Vec<u32> {
    let count = 1 + dice.below(most);
    let one = |_| from + dice.below((to - from + 1) as usize) as u32;
    (0..count).map(one).collect()
}

/// A request for an upgrade.
fn wish(dice: &mut Dice) -> (&'static str, Value) {
    let agents = some(dice, 1, LAST_OF_OURS, 30);
    if dice.per_mille(80) {
        let parameters = json!({"agents": agents, "file_path": "custom.wpk"});
        return ("upgrade_custom", parameters);
    }
    let mut parameters = json!({"agents": agents, "force_upgrade": dice.per_mille(900)});
    match dice.below(10) {
        0 | 1 => {}
        2 => parameters["version"] = RELEASES[0].to_string().into(),
        3..=5 => parameters["version"] = RELEASES[1].to_string().into(),
        6 => parameters["version"] = "v9.9.9".into(),
        _ => parameters["version"] = RELEASES[2].to_string().into(),
    }
    if dice.per_mille(50) {
        parameters["dry_run"] = true.into();
    }
    ("upgrade", parameters)
}

/// A module of another program has tasks of its own in the table.
async fn another_module(service: &Service, dice: &mut Dice) {
    let agents = some(dice, LAST_OF_OURS + 1, AGENTS, 3);
    let parameters = match dice.below(3) {
        0 => return drop(service.task("upgrade", json!({"agents": agents})).await),
        1 => json!({"agents": agents, "status": "In progress"}),
        _ => json!({"agents": agents, "status": "Done"}),
    };
    service.task("upgrade_update_status", parameters).await;
}

/// A result that was heard and cleared long ago comes up again, as long as no
/// installer of a later task may have begun: a word without a task's id is about
/// the newest of those.
async fn older_words(service: &Service, dice: &mut Dice) {
    for agent in some(dice, 1, LAST_OF_OURS, 20).into_iter().map(id) {
        if !service.world.book().takes_no_word(agent) {
            continue;
        }
        let now = service.world.time();
        let word = {
            let mut state = service.world.state();
            let agent = state.agent(agent);
            match agent.is_about_to_install(now) {
                true => None,
                false => agent.older_word(),
            }
        };
        if let Some(end) = word {
            tokio::spawn(pass_on(service.clone(), Word { agent, end }));
        }
    }
}

fn tempers(world: &World, dice: &mut Dice) {
    for agent in world.state().all() {
        agent.temper = dice.pick(&[0, 0, 0, 0, 0, 0, 15, 15, 60, 300]);
    }
}

fn breaks(world: &World, dice: &mut Dice) {
    let words = "broken for a while".to_owned();
    match dice.below(7) {
        0 => world.directory.set_down(Some("down for a while")),
        1 => world
            .provider
            .set_trouble(Trouble::Resolve(ProviderError::NotReachable(words))),
        2 => world
            .provider
            .set_trouble(Trouble::Fetch(ProviderError::NoFile(words))),
        3 => world.provider.set_trouble(Trouble::BreaksOff),
        4 => world.provider.set_trouble(Trouble::OtherBytes),
        5 => world.provider.set_trouble(Trouble::Slow),
        _ => world.provider.set_trouble(Trouble::Mute),
    }
}

fn mends(world: &World) {
    world.directory.set_down(None);
    world.provider.release();
}

/// Everything goes well from now on: all comes to an end, and then every agent
/// can be upgraded.
pub async fn finale(service: &Service, store: &dyn TaskStore) {
    let world = &service.world;
    world.becomes_calm();
    all_is_quiet(world, store, "what was left").await;
    world.book().finale = true;
    let all: Vec<u32> = (1..=AGENTS).collect();
    let parameters = json!({
        "agents": all, "force_upgrade": true, "version": RELEASES[2].to_string(),
    });
    for item in service.upgrade("upgrade", parameters).await {
        if item["error"] != 0 {
            world
                .book()
                .fault(Fault::Stuck, format!("not accepted at the end: {item}"));
        }
    }
    all_is_quiet(world, store, "the last upgrade of all").await;
    let items = service
        .upgrade("upgrade_result", json!({"agents": all}))
        .await;
    for item in items.iter().filter(|item| item["status"] != "Updated") {
        world
            .book()
            .fault(Fault::Stuck, format!("not updated at the end: {item}"));
    }
}

async fn all_is_quiet(world: &World, store: &dyn TaskStore, what: &str) {
    let began = world.time();
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        look(world, store);
        let (live, unquiet) = (world.book().live().len(), world.unquiet());
        if live == 0 && unquiet.is_empty() {
            return;
        }
        if world.time() - began > QUIET_WITHIN {
            let words = format!("{what}: {live} tasks live, these agents speak: {unquiet:?}");
            return world.book().fault(Fault::Stuck, words);
        }
    }
}
