//! A release goes to a whole fleet, in which installations fail, agents go away, and the
//! manager is killed twice. Everybody ends in a true state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::Instant;
use wpk_api::{AgentId, TaskId};
use wpk_runtime::TimerClock;

use crate::agents::{Agents, Begun, Fate, TARGET};
use crate::manager::Manager;

/// Where the story begins.
const EPOCH: i64 = 1_700_000_000;
/// How long an installation takes.
const INSTALLS: i64 = 20;
/// For how long one that goes away is away.
const AWAY: i64 = 900;
/// How long the whole may take.
const PATIENCE: i64 = 20 * 86_400;

const DEFINITION: &str = "
[[site]]
name = \"north\"
select = \"group = north\"
max_concurrent = \"20%\"

[[site]]
name = \"south\"
select = \"group = south\"
windows = [\"20:00-08:00\"]
time_zone = \"Europe/Paris\"

[[rollout]]
name = \"all\"
select = \"id > 0\"
target = \"v4.14.9\"
retries = 3
retry_pause = \"5m\"
unknown_after = \"30m\"

  [[rollout.wave]]
  name = \"canary\"
  size = 20
  min_sample = 10
  max_failures = 8
  soak = \"5m\"
  strict = true

  [[rollout.wave]]
  name = \"half\"
  size = \"50%\"
  max_failures = \"20%\"
  soak = \"5m\"

  [[rollout.wave]]
  name = \"rest\"
  size = \"100%\"
  max_failures = \"20%\"
  soak = \"5m\"
";

/// How many agents there are.
fn count() -> u32 {
    let wanted = std::env::var("ROLLOUT_AGENTS").ok();
    wanted.map_or(300, |wanted| {
        wanted.parse().expect("ROLLOUT_AGENTS is a number")
    })
}

#[test]
fn a_whole_fleet_ends_in_true_states_whatever_fails_and_whoever_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let count = count();
    let (agents, begun) = Agents::new(count, 2);
    let mut world = World {
        agents: agents.clone(),
        begun,
        at_work: BTreeMap::new(),
        now: EPOCH,
    };
    // Lives of the manager; all but the last end by a kill.
    for share in [30, 70] {
        let until = u64::from(count) * share / 100;
        live(home.path(), &mut world, |agents| agents.told_all() >= until);
    }
    live(home.path(), &mut world, |_| false);
    let hours = (world.now - EPOCH) as f64 / 3_600.0;
    println!("{count} agents, {hours:.1} h");
}

/// One life of the manager, to the end of the story or until `killed`.
fn live(home: &Path, world: &mut World, killed: impl Fn(&Agents) -> bool) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (began, at) = (Instant::now(), world.now);
        let agents = world.agents.clone();
        let manager = Manager::start(home, &agents, Arc::new(TimerClock::starting_at(at)));
        if at == EPOCH {
            manager.apply(DEFINITION).await;
        }
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.now = at + i64::try_from(began.elapsed().as_secs()).unwrap();
            world.step(&manager).await;
            if killed(&agents) {
                return;
            }
            let due = world.now.rem_euclid(600) == 0;
            if due && is_over(&manager, &agents).await {
                return judge(&manager, &agents).await;
            }
            let status = manager.status("all");
            assert!(world.now - EPOCH < PATIENCE, "{}", status.await);
        }
    });
    // The kill: whatever is under way is dropped where it stands.
    drop(runtime);
}

/// Outlives every manager.
struct World {
    agents: Arc<Agents>,
    begun: Begun,
    /// Whose installers are through when.
    at_work: BTreeMap<i64, Vec<AgentId>>,
    now: i64,
}

impl World {
    /// A moment of the world.
    async fn step(&mut self, manager: &Manager) {
        while let Ok(agent) = self.begun.try_recv() {
            let through = self.now + INSTALLS;
            self.at_work.entry(through).or_default().push(agent);
        }
        let later = self.at_work.split_off(&self.now);
        let through = std::mem::replace(&mut self.at_work, later);
        for agent in through.into_values().flatten() {
            match self.agents.installed(agent) {
                Fate::Good | Fate::Lies => manager.word(agent, 0, "Done").await,
                Fate::Fails => manager.word(agent, 1, "Failed").await,
                Fate::Mute | Fate::Lost => {}
            }
        }
        if self.now.rem_euclid(AWAY) == 0 {
            let turn = u64::try_from(self.now / AWAY).unwrap();
            self.agents.come_and_go(turn);
        }
    }
}

/// Nobody waits, runs, soaks or is unknown, with everybody back.
async fn is_over(manager: &Manager, agents: &Agents) -> bool {
    let status = manager.status("all").await;
    assert_ne!(status["state"], "halted", "{status}");
    let left = |state: &str| status["counts"][state].as_u64().unwrap();
    let open: u64 = ["waiting", "running", "soaking", "unknown"]
        .iter()
        .map(|one| left(one))
        .sum();
    if open + left("unreachable") == 0 {
        return true;
    }
    if open == 0 {
        agents.all_come_back();
    }
    false
}

/// Every agent's state is true, and no attempt was begun twice.
async fn judge(manager: &Manager, agents: &Agents) {
    let mut begun: BTreeMap<AgentId, u64> = BTreeMap::new();
    let mut after = TaskId(0);
    loop {
        let page = manager
            .store
            .attempts("rollout/all#1", after, 5_000)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = last.task.id;
        for attempt in page.iter().filter(|attempt| attempt.begun) {
            *begun.entry(attempt.task.agent).or_default() += 1;
        }
    }
    let mut told = BTreeMap::new();
    let mut after = 0;
    loop {
        let asked = json!({"name": "all", "after": after, "limit": 1_000});
        let page = manager.ask("rollout_agents", asked).await;
        let Some(last) = page.last() else { break };
        after = last["agent"].as_i64().unwrap();
        for one in page {
            told.insert(one["agent"].as_i64().unwrap(), one);
        }
    }
    let ids = agents.ids();
    assert_eq!(told.len(), ids.len(), "everybody has one state");
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids {
        let one: &Value = &told[&i64::from(id.get())];
        let state = one["state"].as_str().unwrap();
        *states.entry(state.to_owned()).or_default() += 1;
        let there = agents.runs(id) == Some(TARGET);
        match state {
            "succeeded" | "current" => assert!(there, "agent {id} does not run it: {one}"),
            "failed" => assert!(!there, "agent {id} runs it: {one}"),
            _ => panic!("agent {id}: {one}"),
        }
        let (written, told) = (begun.get(&id).copied().unwrap_or(0), agents.told(id));
        // A kill between the two leaves one that was written down and never told.
        assert!(
            told <= written && written <= told + 2,
            "agent {id}: {told} of {written}"
        );
        assert!(
            written <= 4,
            "agent {id} was tried {written} times: 1 + retries"
        );
    }
    println!("{states:?}");
    let failed = states.get("failed").copied().unwrap_or(0);
    assert!(
        failed * 100 <= states.values().sum(),
        "of 2 % that fail, few fail four times"
    );
}
