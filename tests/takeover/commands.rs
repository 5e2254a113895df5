//! What an administrator types: `check` before and beside it, the start of the log, a
//! kill and `give-back`, `doctor`.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use tokio::process::Command;
use wpk_testkit::manager::PATIENCE;
use wpk_testkit::{ask_json, binary, modulesd, wait_until};

use crate::beside_a_module;

async fn wpkd(command: &str, config: &Path) -> (bool, String) {
    let mut wpkd = Command::new(binary("wpkd").unwrap());
    wpkd.arg(command).arg("--config").arg(config);
    run(wpkd).await
}

async fn doctor(config: &Path) -> String {
    let mut wpkctl = Command::new(binary("wpkctl").unwrap());
    wpkctl.arg("--config").arg(config).arg("doctor");
    run(wpkctl).await.1
}

/// Whether it was content, and what it said.
async fn run(mut command: Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    (status.success(), said)
}

/// Whether the manager's own module answers there.
async fn is_theirs(path: &Path) -> bool {
    let answer = ask_json(path, &json!({"parameters": {"agents": [1]}})).await;
    answer.is_some_and(|answer| answer["by"] == modulesd::BY)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_serves_what_is_said_by_check_log_and_doctor() {
    let (mut manager, mut modulesd) = beside_a_module().await;
    let (config, upgrade) = (manager.config(), manager.home.upgrade_socket());
    let (good, said) = wpkd("check", &config).await;
    assert!(good, "{said}");
    for name in ["upgrade", "task"] {
        let line = format!(
            "now        {name} socket {}: served by the manager's own module or another program \
             than wpkd; when wpkd starts it takes it over, and that is behind it at {}\n",
            manager.home.path(format!("queue/tasks/{name}")).display(),
            manager
                .home
                .path(format!("queue/tasks/.{name}.builtin"))
                .display()
        );
        assert!(said.contains(&line), "{line:?} is not in\n{said}");
    }
    // Without the key it is a mistake, at the key.
    let plain = manager.home.path("etc/plain.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &plain,
        text.replace("take_over = true", "take_over = false"),
    )
    .unwrap();
    let (good, said) = wpkd("check", &plain).await;
    assert!(
        !good && said.contains("[[source]] number 1: take_over: /"),
        "{said}"
    );
    assert!(said.contains("set take_over = true"), "{said}");
    assert!(said.contains("plain.toml"), "{said}");
    assert!(!said.contains("<enabled>"), "{said}");

    manager.boot().await.unwrap();
    let line = format!(
        "upgrade socket {}: served by wpkd, the manager's own module is behind it at {}",
        upgrade.display(),
        manager.home.path("queue/tasks/.upgrade.builtin").display()
    );
    assert!(manager.output().contains(&line), "{}", manager.output());
    let (good, said) = wpkd("check", &config).await;
    assert!(good && said.contains(&line), "{said}");
    let said = doctor(&config).await;
    let found = said.lines().find(|line| line.contains("upgrade socket: "));
    let found = found.unwrap_or_else(|| panic!("{said}"));
    assert!(found.starts_with("ok "), "{found}");
    assert!(
        found.contains("the manager's own module is behind it at "),
        "{found}"
    );
    assert!(found.contains("answered in "), "{found}");
    // Each return is said once, with a count.
    for times in 1..=2 {
        modulesd.restart().await.unwrap();
        let lines = |log: &str| {
            log.lines()
                .filter(|line| line.contains("has the path back"))
                .count()
        };
        let said = wait_until(PATIENCE, async || {
            (lines(&manager.output()) == 2 * times).then_some(())
        });
        assert!(said.await.is_some(), "{}", manager.output());
        let counted = manager.output().matches(&format!("times={times}")).count();
        assert_eq!(counted, 2, "{}", manager.output());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_wpkd_is_given_back_by_a_command() {
    let (mut manager, mut modulesd) = beside_a_module().await;
    let config = manager.config();
    let paths = [manager.home.upgrade_socket(), manager.home.task_socket()];
    manager.boot().await.unwrap();
    let (good, said) = wpkd("give-back", &config).await;
    assert!(good && said.contains("left alone, a wpkd runs"), "{said}");
    assert!(!is_theirs(&paths[0]).await);

    manager.kill().await.unwrap();
    let (good, said) = wpkd("give-back", &config).await;
    assert!(good, "{said}");
    assert_eq!(
        said.matches(": given back to the manager's own module\n")
            .count(),
        2
    );
    for path in &paths {
        assert!(is_theirs(path).await, "{}", path.display());
    }
    let (good, said) = wpkd("give-back", &config).await;
    assert!(
        good && said.contains("nothing of wpkd's lies there"),
        "{said}"
    );

    // A restart of the manager after a kill puts right what lies there, too, and the
    // next start of wpkd takes it over again.
    manager.boot().await.unwrap();
    manager.kill().await.unwrap();
    modulesd.restart().await.unwrap();
    assert!(is_theirs(&paths[0]).await);
    manager.boot().await.unwrap();
    assert!(!is_theirs(&paths[0]).await);
    // Its word at its start goes to whoever serves the task socket.
    assert!(modulesd.cancelled().iter().all(Option::is_some));
    modulesd.restart().await.unwrap();
    let path = &paths[0];
    let back = wait_until(PATIENCE, async || (!is_theirs(path).await).then_some(()));
    assert!(back.await.is_some(), "{}", manager.output());
    manager.stop().await.unwrap();
    assert!(is_theirs(&paths[0]).await && is_theirs(&paths[1]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_wpkd_is_refused() {
    let (mut manager, _modulesd) = beside_a_module().await;
    manager.boot().await.unwrap();
    let second = manager.home.path("etc/second.toml");
    let text = std::fs::read_to_string(manager.config()).unwrap();
    let store = "\n[store]\ntype = \"sqlite\"\npath = \"queue/db/second.db\"\n";
    std::fs::write(&second, text + store).unwrap();
    let (good, said) = wpkd("run", &second).await;
    assert!(!good && said.contains("another daemon of ours"), "{said}");
    assert!(!is_theirs(&manager.home.upgrade_socket()).await);
}
