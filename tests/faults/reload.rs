//! SIGHUP: what can be changed while the daemon runs is changed, the rest is said,
//! and whatever the settings say, the daemon goes on.

use std::process::Command;

use serde_json::json;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::process::Signal;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Home, Manager, Repository, binary};

use crate::table::{Check, check};

pub const CHECKS: &[Check] = &[
    check!(
        what_can_be_changed_is_changed_and_nothing_ends_the_daemon,
        "SIGHUP",
        "settings changed, then wrong, then no TOML",
        "taken over by key, then refused twice; agents 3 of 3 Updated"
    ),
    check!(
        wrong_settings_have_an_exit_status_of_their_own,
        "the start",
        "wrong settings; a store that cannot be opened",
        "exit status 2; exit status 1"
    ),
];

async fn repository() -> Repository {
    let repository = Repository::start().await.unwrap();
    repository.publish("v4.14.8", b"a package").unwrap();
    repository
}

/// A provider with this repository, and what else the settings say.
fn settings(repository: &Repository, rest: &str) -> String {
    let url = repository.server.url();
    format!("{rest}\n[[provider]]\ntype = \"repository\"\nurl = \"{url}\"\n")
}

/// Sends SIGHUP and waits for the line that ends what follows; gives what was logged
/// meanwhile.
async fn hang_up(manager: &mut Manager, last_line: &str) -> String {
    let before = manager.output().len();
    let daemon = manager.daemon().unwrap();
    daemon.signal(Signal::HUP).unwrap();
    let ended = daemon.wait_for_line(last_line, PATIENCE).await;
    let output = manager.output();
    assert!(ended.is_some(), "{output}");
    output.get(before..).unwrap().to_owned()
}

async fn upgrade(manager: &Manager, agent: u32) {
    manager.upgrade(&[agent], json!({})).await;
    let ended = manager.wait_for_status(agent, &["Updated", "Error"]).await;
    let ended = ended.expect("an end");
    assert_eq!(ended["status"], "Updated", "{ended}\n{}", manager.output());
}

async fn what_can_be_changed_is_changed_and_nothing_ends_the_daemon() -> String {
    let (first, second) = (repository().await, repository().await);
    let mut manager = Manager::prepare(&settings(&first, "")).await.unwrap();
    // RUST_LOG would win.
    manager.log = String::new();
    manager.boot().await.unwrap();
    let rows = (1..=3).map(|id| agent_row(id, "Wazuh v4.7.0"));
    manager.wdb.set_agents(rows);
    upgrade(&manager, 1).await;
    assert!(!first.server.requests().is_empty());
    assert!(!manager.output().contains("DEBUG"), "{}", manager.output());

    let changed = "[log]\nfilter = \"debug\"\n[delivery]\nmax_concurrent = 2\n\
                   [cache]\nmax_total = \"3GiB\"\n[node]\nname = \"node02\"\n";
    let rest = settings(&second, changed);
    manager.configure(&rest).unwrap();
    let said = hang_up(&mut manager, "the settings were read again").await;
    let line = |key: &str| {
        let key = format!("key=\"{key}\"");
        let mut lines = said.lines().filter(|line| line.contains(&key));
        let line = lines.next().unwrap_or_else(|| panic!("{key}: {said}"));
        assert!(lines.next().is_none(), "{key} twice: {said}");
        line
    };
    for key in [
        "log.filter",
        "delivery.max_concurrent",
        "cache.max_total",
        "provider.0.url",
    ] {
        assert!(line(key).contains("is taken over"), "{said}");
    }
    let refused = line("node.name");
    assert!(refused.contains("is not taken over"), "{said}");
    assert!(refused.contains("it needs a restart"), "{said}");

    let asked = first.server.requests().len();
    upgrade(&manager, 2).await;
    assert_eq!(first.server.requests().len(), asked, "the old one is asked");
    assert!(!second.server.requests().is_empty());
    assert!(manager.output().contains("DEBUG"), "{}", manager.output());
    assert_eq!(manager.result(2).await["node"], "node01");

    let wrong = settings(&first, "[delivery]\nattempts = 0\n");
    manager.configure(&wrong).unwrap();
    let said = hang_up(&mut manager, "everything stays as it was").await;
    let named = format!("{}:", manager.config().display());
    let line = said.lines().find(|line| line.contains(&named));
    let line = line.unwrap_or_else(|| panic!("{named} {said}"));
    assert!(line.contains(" delivery.attempts: "), "{said}");
    std::fs::write(manager.config(), "no = [toml").unwrap();
    let said = hang_up(&mut manager, "is not valid TOML").await;
    assert!(said.contains("wpkd.toml"), "{said}");
    upgrade(&manager, 3).await;
    assert_eq!(first.server.requests().len(), asked, "wrong settings count");
    assert!(manager.stop().await.unwrap().success());
    "taken over by key, then refused twice; agents 3 of 3 Updated".to_owned()
}

async fn wrong_settings_have_an_exit_status_of_their_own() -> String {
    let ended = |settings: &str| {
        let home = Home::new().unwrap();
        let file = home.path("etc/wpkd.toml");
        std::fs::write(&file, settings).unwrap();
        std::fs::write(home.path("file"), "no folder").unwrap();
        let output = Command::new(binary("wpkd").unwrap())
            .args(["--config".as_ref(), file.as_os_str()])
            .args(["--home".as_ref(), home.root().as_os_str()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status.code();
        status.map_or(said, |status| format!("exit status {status}"))
    };
    let settings = ended("[tasks]\ntask_timeout = \"0s\"\n");
    // The settings are good; the world is not.
    let world = "[transport]\ntype = \"channel\"\nlisten = \"127.0.0.1:0\"\n\
                 [store]\ntype = \"sqlite\"\npath = \"file/tasks.db\"\n";
    format!("{settings}; {}", ended(world))
}
