//! What a person removes while the daemon runs: it is noticed, said once, and made
//! again where that can be done.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, binary, wait_until};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        a_task_store_that_is_removed_takes_no_tasks,
        "tasks.db",
        "removed while the daemon runs",
        "code 4 thrice, told once, doctor fails; taken after a restart"
    ),
    check!(
        a_socket_that_is_removed_is_there_again,
        "upgrade socket",
        "removed while the daemon runs",
        "answers again, told once"
    ),
    check!(
        a_socket_that_cannot_be_made_again_ends_the_daemon,
        "upgrade socket",
        "its folder is gone for good",
        "the daemon ends with status 1 and says why"
    ),
];

/// How often the log says this.
fn said(manager: &Manager, words: &str) -> usize {
    let output = manager.output();
    output.lines().filter(|line| line.contains(words)).count()
}

async fn a_task_store_that_is_removed_takes_no_tasks() -> String {
    let mut manager = Manager::start("").await.unwrap();
    let rows = (1..=3).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    let examined = |manager: &Manager| {
        let output = Command::new(binary("wpkd").unwrap())
            .args(["examine", "--config"])
            .arg(manager.config())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| line.contains("task database"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let before = examined(&manager);
    assert!(before.contains("is sound"), "{before}");

    std::fs::remove_file(manager.home.tasks_db()).unwrap();
    let mut refused = Vec::new();
    for agent in 1..=3 {
        let items = manager.upgrade(&[agent], json!({})).await;
        refused.push(items[0]["error"].clone());
    }
    let told = said(&manager, "nothing more is written to it: put it back");
    assert!(!manager.home.tasks_db().exists(), "an empty one was made");
    let process = manager.daemon().unwrap().id().unwrap();
    let now = examined(&manager);
    assert!(now.contains("failure"), "{now}");
    assert!(now.contains(&format!("process {process} ")), "{now}");

    // As the doctor says.
    manager.stop().await.unwrap();
    manager.boot().await.unwrap();
    let items = manager.upgrade(&[1], json!({})).await;
    assert_ne!(items[0]["error"], 4, "{items:?}");
    let after = examined(&manager);
    assert!(after.contains("is sound"), "{after}");
    match refused == [4, 4, 4] && told == 1 {
        true => "code 4 thrice, told once, doctor fails; taken after a restart".to_owned(),
        false => format!("codes {refused:?}, told {told} times"),
    }
}

async fn a_socket_that_is_removed_is_there_again() -> String {
    let manager = Manager::start("").await.unwrap();
    std::fs::remove_file(manager.home.upgrade_socket()).unwrap();
    let request = json!({"command": "nonsense"}).to_string();
    let answered = wait_until(PATIENCE, || manager.ask(&request)).await;
    assert!(answered.is_some(), "{}", manager.output());
    match said(&manager, "the socket was removed") {
        1 => "answers again, told once".to_owned(),
        times => format!("answers again, told {times} times"),
    }
}

async fn a_socket_that_cannot_be_made_again_ends_the_daemon() -> String {
    let mut manager = Manager::start("").await.unwrap();
    let (folder, other) = (
        manager.home.path("queue/tasks"),
        manager.home.path("queue/other"),
    );
    std::fs::write(&other, "no folder").unwrap();
    // In one step: a folder that is missing for a moment is made again.
    let exchange = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, &other, rustix::fs::CWD, &folder, exchange).unwrap();
    let daemon = manager.daemon().unwrap();
    let ended = daemon.wait(Duration::from_secs(30)).await.unwrap();
    let why = said(&manager, "cannot be made again") > 0;
    match ended.code() {
        Some(1) if why => "the daemon ends with status 1 and says why".to_owned(),
        _ => format!("{ended}: {}", manager.output()),
    }
}
