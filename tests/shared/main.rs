//! Several real daemons over one PostgreSQL database: each carries out its own, any of
//! them answers for all, and what one that died had not begun goes on elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use serde_json::{Value, json};
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, PostgresServer, Repository, wait_until};

/// How long a node may be silent, in these tests.
const LEASE: u64 = 3;

fn settings(server: &PostgresServer, node: &str) -> String {
    format!(
        "[node]\nname = \"{node}\"\n\
         [store]\ntype = \"postgres\"\nhost = \"{}\"\nport = {}\nuser = \"postgres\"\n\
         database = \"postgres\"\nlease = \"{LEASE}s\"\n\
         [delivery]\nmax_concurrent = 2\n",
        server.socket_folder().display(),
        server.port()
    )
}

/// A daemon that reaches the agents 1 to 20, whichever node they were at last.
async fn node(server: &PostgresServer, name: &str) -> Manager {
    let manager = Manager::start(&settings(server, name)).await.unwrap();
    let rows = (1..=20).map(|id| {
        let mut row = agent_row(id, "Wazuh v4.7.0");
        row["node_name"] = json!(name);
        row
    });
    manager.wdb.set_agents(rows);
    manager
}

async fn repository() -> (Repository, Value) {
    let (repository, mut parameters) = wpk_testkit::release(&[5; 100_000]).await.unwrap();
    parameters["version"] = json!(wpk_testkit::fleet::RELEASE);
    (repository, parameters)
}

/// How a task ended, as a node shows it.
async fn end_of(manager: &Manager, agent: u32) -> String {
    let ends = ["Updated", "Error", "Legacy", "Timeout", "Cancelled"];
    let item = manager.wait_for_status(agent, &ends).await;
    let item = item.unwrap_or_else(|| panic!("agent {agent} has no end\n{}", manager.output()));
    item["status"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_carries_out_its_own_and_answers_for_all() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let (first, second) = (node(&server, "node01").await, node(&server, "node02").await);
    let (_repository, parameters) = repository().await;
    first.upgrade(&[1, 2, 3], parameters.clone()).await;
    second.upgrade(&[11, 12, 13], parameters.clone()).await;
    for agent in [1, 2, 3, 11, 12, 13] {
        assert_eq!(end_of(&first, agent).await, "Updated");
        assert_eq!(end_of(&second, agent).await, "Updated");
        let (by, other) = if agent < 10 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        assert_eq!(by.remoted.count(agent, "upgrade"), 1);
        assert_eq!(other.remoted.count(agent, "upgrade"), 0, "agent {agent}");
    }
    // An agent that has a task at one node gets none at the other.
    first.remoted.set_rules("4 lock_restart @hang\n").unwrap();
    first.upgrade(&[4], parameters.clone()).await;
    first.wait_for_step(4, "lock_restart").await.unwrap();
    let refused = second.upgrade(&[4], parameters).await;
    assert_eq!(refused[0]["error"], json!(10), "{refused:?}");
}

/// A daemon is killed in the middle; the other one takes over what it had not begun,
/// the database is restarted meanwhile, and no installer is begun twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_had_not_begun_is_carried_out_by_another() {
    let Some(mut server) = PostgresServer::start() else {
        return;
    };
    let (mut first, second) = (node(&server, "node01").await, node(&server, "node02").await);
    let (_repository, parameters) = repository().await;
    // As agents do: until they are told to stop.
    let again = Some(Duration::from_millis(500));
    second.remoted.set_ack_interval(again);
    // Agent 1 has begun and says nothing; two others hold the places, the rest wait. Which
    // two is not told: where another node shares the store, more are claimed than there
    // are places, and whoever has its file first goes first.
    let agents: Vec<u32> = (2..=20).collect();
    let hang = agents.iter().map(|id| format!("{id} lock_restart @hang\n"));
    let rules = format!("1 upgrade @noack\n{}", hang.collect::<String>());
    first.remoted.set_rules(&rules).unwrap();
    first.upgrade(&[1], parameters.clone()).await;
    first.wait_for_step(1, "upgrade").await.unwrap();
    first.upgrade(&agents, parameters).await;
    let asked = |agent: &u32| first.remoted.count(*agent, "lock_restart") > 0;
    let held = wait_until(Duration::from_secs(30), || async {
        (agents.iter().filter(|agent| asked(agent)).count() == 2).then_some(())
    });
    held.await.expect("both places are held");
    first.kill().await.unwrap();
    let killed = std::time::Instant::now();
    let taken = wait_until(Duration::from_secs(30), || async {
        let sent = |agent: &u32| second.remoted.count(*agent, "upgrade") > 0;
        agents.iter().all(sent).then_some(())
    });
    taken.await.unwrap_or_else(|| panic!("{}", second.output()));
    println!(
        "all are taken over and sent {:?} after the kill",
        killed.elapsed()
    );
    server.restart();
    for agent in agents {
        assert_eq!(end_of(&second, agent).await, "Updated", "agent {agent}");
        assert_eq!(second.remoted.count(agent, "upgrade"), 1, "agent {agent}");
    }
    // What was begun waits for its agent's word, whoever hears it.
    let item = second.result(1).await;
    assert_eq!(item["status"], json!("Updating"), "{item}");
    assert_eq!(second.remoted.count(1, "upgrade"), 0);
    let begun = server.sql(
        "SELECT count(*) || ' ' || count(DISTINCT agent) FROM wpkd.tasks WHERE begun IS NOT NULL",
    );
    assert_eq!(begun, "20 20");
}

/// The name of a node that lives is not entered.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_name_or_with_that_of_another_does_not_start() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let whole = settings(&server, "node01");
    let home = wpk_testkit::Home::new().unwrap();
    let file = home.path("wpkd.toml");
    let check = async |text: String| {
        let text = format!("home = \"{}\"\n{text}", home.root().display());
        std::fs::write(&file, text).unwrap();
        let wpkd = wpk_testkit::binary("wpkd").unwrap();
        let mut command = tokio::process::Command::new(wpkd);
        let output = command.arg("check").arg("--config").arg(&file).output();
        let output = output.await.unwrap();
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&told).into_owned(),
        )
    };
    let (good, told) = check(whole.replace("[node]\nname = \"node01\"\n", "")).await;
    assert!(!good && told.contains("node.name"), "{told}");
    assert!(told.contains("shared by several nodes"), "{told}");
    let (good, told) = check(whole).await;
    assert!(good, "{told}");
    // A second daemon of the same name waits for the first, and says who that is.
    let first = node(&server, "node01").await;
    let second = Manager::prepare(&settings(&server, "node01"))
        .await
        .unwrap();
    let wpkd = wpk_testkit::binary("wpkd").unwrap();
    let mut command = tokio::process::Command::new(wpkd);
    command
        .arg("--config")
        .arg(second.config())
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("it ends").unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("node01"), "{told}");
    drop(first);
}
