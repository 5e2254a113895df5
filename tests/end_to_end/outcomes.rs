//! Every way in which a task ends, as the tool tells it: words, objects and exit statuses, by
//! the real tool against a real daemon.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, binary, fleet, wait_until};

/// Short enough to be waited for.
const SETTINGS: &str = "[tasks]\ntask_timeout = \"2s\"\nconfirm_within = \"1s\"\n";

fn tool(manager: &Manager, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("wpkctl").unwrap());
    command.arg("--socket").arg(manager.home.upgrade_socket());
    command.args(arguments).env_clear().kill_on_drop(true);
    command
}

async fn wpkctl(manager: &Manager, arguments: &[&str]) -> (Option<i32>, String) {
    let output = tool(manager, arguments).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code(), text)
}

async fn objects(manager: &Manager, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["--json"], arguments].concat();
    let (_, text) = wpkctl(manager, &arguments).await;
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"));
    text.lines().map(object).collect()
}

/// Waits until the last task of an agent has this outcome, and what is told of it.
async fn until(manager: &Manager, agent: &str, outcome: &str) -> Value {
    let found = wait_until(PATIENCE, || async {
        let told = objects(manager, &["result", agent]).await.remove(0);
        (told["outcome"] == outcome).then_some(told)
    });
    let found = found.await;
    match found {
        Some(found) => found,
        None => panic!(
            "agent {agent} is not {outcome}: {:?}",
            objects(manager, &["result", agent]).await
        ),
    }
}

/// Agents 1 and 5 are updated, and only 1 shows it; 2 fails; 3 is silent; 4 is sent a version
/// that never reports; 6 hangs while it is sent its file; 7 has no task.
async fn site() -> (Manager, wpk_testkit::Repository, Value) {
    let (manager, repository, parameters) = fleet(SETTINGS, 7, &[7; 5_000]).await.unwrap();
    let rules = "2 upgrade @ack:2:Failed\n3 upgrade @noack\n6 write @hang\n";
    manager.remoted.set_rules(rules).unwrap();
    let wpk = [9; 2000];
    let sha1 = wpk_testkit::repository::sha1_hex(&wpk);
    let name = "wazuh_agent_v4.0.4_linux_x86_64.wpk";
    let folder = "linux/x86_64";
    repository
        .publish_as(folder, "v4.0.4", name, &wpk, &sha1)
        .unwrap();
    let mut older = parameters.clone();
    older["version"] = json!("4.0.4");
    older["force_upgrade"] = json!(true);
    manager.upgrade(&[4], older).await;
    manager.upgrade(&[1, 2, 3, 5, 6], parameters.clone()).await;
    manager.wait_for_status(1, &["Updated"]).await.unwrap();
    let upgraded = agent_row(1, "Wazuh v4.14.8");
    manager.wdb.set_agent(upgraded);
    (manager, repository, parameters)
}

#[tokio::test]
async fn each_outcome_has_its_word_and_its_exit_status() {
    let (mut manager, _repository, _) = site().await;
    manager.wait_for_step(6, "write").await.unwrap();
    manager.wait_for_step(3, "upgrade").await.unwrap();
    let running = objects(&manager, &["tasks", "6"]).await;
    assert_eq!(running[0]["step"], "write", "{running:?}");

    // A task that is sent is taken back, one that was begun is not.
    let (status, text) = wpkctl(&manager, &["cancel", "6"]).await;
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = wpkctl(&manager, &["cancel", "1-3", "7"]).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("007: not taken back: it has no task"),
        "{text}"
    );

    for (agent, outcome, status) in [
        ("1", "updated", 0),
        ("2", "failed", 1),
        ("3", "timed_out", 3),
        ("4", "legacy", 3),
        ("5", "unconfirmed", 3),
        ("6", "cancelled", 1),
    ] {
        until(&manager, agent, outcome).await;
        let (ended, text) = wpkctl(&manager, &["result", agent]).await;
        assert_eq!(ended, Some(status), "{outcome}: {text}");
    }
    let told = objects(&manager, &["result", "1", "6"]).await;
    assert_eq!(told[0]["confirmation"], "confirmed");
    let who = format!(
        "Cancelled by the user with id {}",
        rustix::process::getuid().as_raw()
    );
    assert_eq!(told[1]["error_msg"], who);
    // Together: the worst of them. Of nothing, and of nonsense.
    for (arguments, status) in [
        (&["result", "1-6"][..], 1),
        (&["result", "1", "3"], 3),
        (&["result", "7"], 1),
        (&["result"], 2),
        (&["result", "--all", "--since", "2h"], 1),
        (&["result", "--all", "1", "4"], 3),
        (&["tasks"], 0),
    ] {
        let (ended, text) = wpkctl(&manager, arguments).await;
        assert_eq!(ended, Some(status), "{arguments:?}: {text}");
    }

    // All of it is the same after a kill.
    manager.kill().await.unwrap();
    manager.boot().await.unwrap();
    let all = objects(&manager, &["result", "--all", "--failed"]).await;
    let mut outcomes: Vec<&str> = all
        .iter()
        .filter_map(|one| one["outcome"].as_str())
        .collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        ["cancelled", "failed", "timed_out", "unconfirmed"]
    );
    let (status, text) = wpkctl(&manager, &["result", "--all", "--csv"]).await;
    assert_eq!((status, text.lines().count()), (Some(1), 7), "{text}");
    assert_eq!(manager.remoted.count(6, "upgrade"), 0, "it was never begun");

    // A word after the time-out is told as late.
    manager.remoted.acknowledge(3, 0, "Done").await.unwrap();
    let late = until(&manager, "3", "unconfirmed").await;
    assert_eq!(late["late"], true, "{late}");
}

#[tokio::test]
async fn a_watch_that_is_interrupted_says_so() {
    let (manager, repository, _) = fleet("", 1, &[7; 5_000]).await.unwrap();
    manager.remoted.set_rules("1 write @hang\n").unwrap();
    let base = repository.base();
    let watch = ["upgrade", "1", "--repository", &base, "--http", "--watch"];
    let mut command = tool(&manager, &watch);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    manager.wait_for_step(1, "write").await.unwrap();
    let id = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap();
    assert_eq!(ended.unwrap().code(), Some(130));
    // The task goes on, until it is taken back.
    let (status, text) = wpkctl(&manager, &["cancel", "1"]).await;
    assert_eq!(status, Some(0), "{text}");
}
