//! Requests without a pause while both sides are stopped and started.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use wpk_testkit::modulesd::Gap;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{FakeModulesd, Manager, binary, release};

use crate::beside_a_module;
use crate::client::{Answer, Made, upgrade};

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
    let by_wpkd = tasks(&made);
    let by_module = made
        .iter()
        .filter(|one| matches!(one.answer, Answer::Modulesd));
    assert!(by_wpkd.len() > 400, "{}", by_wpkd.len());
    assert!(by_module.count() > 0, "it was never asked");
    has_them_all(&manager, &by_wpkd).await;
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
            Answer::Wpkd { .. } | Answer::Modulesd => {}
            Answer::NobodyThere(_) if in_a_gap(one) => excepted += 1,
            Answer::NobodyThere(what) | Answer::Wrong(what) => {
                panic!("the request for agent {}: {what}\n{log}", one.agent)
            }
        }
    }
    excepted
}

/// The agents whose request reached wpkd, and the tasks that it made.
fn tasks(made: &[Made]) -> Vec<(u32, i64)> {
    let tasks = made.iter().filter_map(|one| match one.answer {
        Answer::Wpkd { task } => Some((one.agent, task)),
        _ => None,
    });
    tasks.collect()
}

/// wpkd knows each task that it promised.
async fn has_them_all(manager: &Manager, tasks: &[(u32, i64)]) {
    let agents: Vec<u32> = tasks.iter().map(|(agent, _)| *agent).collect();
    let request = json!({"command": "upgrade_result", "parameters": {"agents": agents}});
    let answer = manager
        .ask(request.to_string())
        .await
        .unwrap_or(Value::Null);
    let known: Vec<(u32, i64)> = answer["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| {
            let agent = u32::try_from(item["agent"].as_u64()?).ok()?;
            Some((agent, item["task_id"].as_i64()?))
        })
        .collect();
    for promised in tasks {
        assert!(known.contains(promised), "{promised:?} is lost");
    }
}
