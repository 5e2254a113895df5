//! Requests without a pause while both sides are stopped and started.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::modulesd::Gap;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{FakeModulesd, Manager, binary, release, wait_until};

use crate::beside_a_module;
use crate::client::{Answer, Made, upgrade};
use crate::mirror;

/// Agents, and the ids of their tasks.
type Tasks = BTreeMap<u32, i64>;

const REQUESTS: u32 = 1_000;
const EVERY: Duration = Duration::from_millis(10);
/// After so many requests the module is started again: 20 times in all.
const RESTART_EVERY: u32 = 50;
/// After so many requests wpkd is stopped and started: 5 times in all.
const STOP_EVERY: u32 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_request_is_answered_by_one_of_the_two() {
    binary("wpkd").unwrap();
    let (repository, mut parameters) = release(&[5; 1_000]).await.unwrap();
    parameters["version"] = json!("v4.14.8");
    let (mut manager, mut modulesd) = beside_a_module().await;
    modulesd.pauses = (Duration::from_millis(3), Duration::from_millis(3));
    let rows = (1..=i64::from(REQUESTS)).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    manager.boot().await.unwrap();

    let (told, sent) = watch::channel(0);
    let path = manager.home.upgrade_socket();
    let restarting = tokio::spawn(restart(modulesd, sent.clone()));
    let stopping = tokio::spawn(stop_and_start(manager, sent));
    let mut requests = JoinSet::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for agent in 1..=REQUESTS {
        ticks.tick().await;
        requests.spawn(upgrade(path.clone(), agent, parameters.clone()));
        told.send_replace(agent);
    }
    let made = requests.join_all().await;
    let (modulesd, manager) = (restarting.await.unwrap(), stopping.await.unwrap());
    assert!(modulesd.broken().is_empty(), "{:?}", modulesd.broken());
    let gaps = modulesd.gaps();
    let excepted = judge(&made, &gaps, &path, &manager.output());
    println!("{excepted} requests came between two steps of the module's start");
    // Nobody hides behind the module's own steps.
    assert!(excepted < 250, "{excepted} of {REQUESTS} found nobody");
    let (by_wpkd, by_module) = tasks(&made);
    assert!(by_wpkd.len() > 400, "{}", by_wpkd.len());
    assert!(!by_module.is_empty(), "it was never asked");
    // What reached wpkd is known to it and stands in the manager's table, and what the
    // module answered is known to wpkd as well.
    knows(&manager, &by_wpkd, |promised, known| promised == known).await;
    // It has another id here where wpkd had given that to a task of its own.
    knows(&manager, &by_module, |_, _| true).await;
    let agents: Vec<u32> = by_wpkd.keys().copied().collect();
    mirror::shows(&manager, &agents).await;
    drop(repository);
}

/// Starts the module again and again; it has ended its part when this returns.
async fn restart(mut modulesd: FakeModulesd, mut sent: watch::Receiver<u32>) -> FakeModulesd {
    for times in 0..REQUESTS / RESTART_EVERY {
        let at = times * RESTART_EVERY + RESTART_EVERY / 2;
        sent.wait_for(|sent| *sent >= at).await.unwrap();
        modulesd.restart().await.unwrap();
    }
    modulesd
}

/// Stops and starts wpkd again and again; it runs when this returns.
async fn stop_and_start(mut manager: Manager, mut sent: watch::Receiver<u32>) -> Manager {
    for times in 0..REQUESTS / STOP_EVERY {
        let at = times * STOP_EVERY + STOP_EVERY / 2;
        sent.wait_for(|sent| *sent >= at).await.unwrap();
        let ended = manager.stop().await.unwrap();
        assert!(ended.success(), "{}", manager.output());
        manager.boot().await.unwrap();
    }
    manager
}

/// Each request was answered, or found nobody because of the module's own steps; how many
/// were those.
fn judge(made: &[Made], gaps: &[Gap], path: &std::path::Path, log: &str) -> usize {
    let in_a_gap = |one: &Made| {
        let mut gaps = gaps.iter().filter(|gap| gap.path == path);
        gaps.any(|gap| one.from <= gap.to && gap.from <= one.to)
    };
    let mut excepted = 0;
    for one in made {
        match &one.answer {
            Answer::Wpkd { .. } | Answer::Modulesd { .. } => {}
            Answer::NobodyThere(_) if in_a_gap(one) => excepted += 1,
            Answer::NobodyThere(what) | Answer::Wrong(what) => {
                panic!("the request for agent {}: {what}\n{log}", one.agent)
            }
        }
    }
    excepted
}

/// The agents whose request reached wpkd, and those whose request reached the module, with
/// the ids of the tasks that were promised.
fn tasks(made: &[Made]) -> (Tasks, Tasks) {
    let (mut by_wpkd, mut by_module) = (Tasks::new(), Tasks::new());
    for one in made {
        match one.answer {
            Answer::Wpkd { task } => by_wpkd.insert(one.agent, task),
            Answer::Modulesd { task } => by_module.insert(one.agent, task),
            Answer::NobodyThere(_) | Answer::Wrong(_) => None,
        };
    }
    (by_wpkd, by_module)
}

/// wpkd knows each of these tasks, if not at once then after what others did was looked
/// for; under an id that is `right`.
async fn knows(manager: &Manager, tasks: &Tasks, right: impl Fn(i64, i64) -> bool) {
    let agents: Vec<u32> = tasks.keys().copied().collect();
    let request = json!({"command": "upgrade_result", "parameters": {"agents": agents}});
    let known = async || {
        let answer = manager.ask(request.to_string()).await?;
        let items = answer["data"].as_array()?.iter();
        let known = items.filter_map(|item| {
            let agent = u32::try_from(item["agent"].as_u64()?).ok()?;
            Some((agent, item["task_id"].as_i64()?))
        });
        Some(known.collect::<Tasks>())
    };
    let lost = async || {
        let known = known().await.unwrap_or_default();
        let lost = tasks.iter().filter_map(|(agent, promised)| {
            let there = known.get(agent).copied();
            let good = there.is_some_and(|there| right(*promised, there));
            (!good).then_some((*agent, *promised, there))
        });
        lost.collect::<Vec<_>>()
    };
    let all = wait_until(PATIENCE, async || lost().await.is_empty().then_some(()));
    if all.await.is_none() {
        let lost = lost().await;
        panic!("(agent, task, known) {lost:?}\n{}", manager.output());
    }
}
