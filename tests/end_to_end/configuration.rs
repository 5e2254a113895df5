//! `wpkd check`, and what keeps a daemon from starting.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;
use wpk_testkit::{Manager, binary};

async fn wpkd(arguments: &[&str]) -> Output {
    Command::new(binary("wpkd").unwrap())
        .args(arguments)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn check_prints_every_mistake_with_file_and_key() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let text = r#"
        dialect = "wazuh-5"
        [node]
        nmae = "x"
        [[provider]]
        type = "repository"
        atempts = 3
        timeout = "soon"
        [[provider]]
        type = "s3"
        [store]
        type = "sqlite"
        path = 5
        [[source]]
        type = "unix-socket"
        mode = "rw"
        [transport]
        type = "remoted"
        tiemout = "1s"
    "#;
    std::fs::write(&file, text).unwrap();
    let output = wpkd(&["check", "--config", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8(output.stderr).unwrap();
    let keys = [
        "dialect:",
        "node.nmae:",
        "provider.0.atempts:",
        "provider.0.timeout:",
        "provider.1.type:",
        "store.path:",
        "source.0.mode:",
        "transport.tiemout:",
    ];
    for key in keys {
        let found = printed
            .lines()
            .any(|line| line.contains("wpkd.toml") && line.contains(key));
        assert!(found, "{key} is not in\n{printed}");
    }
}

#[tokio::test]
async fn an_examination_reads_the_settings_as_the_start_does() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("wpkd.toml");
    let home = folder.path().join("home");
    let arguments = ["examine", "--json", "--config", file.to_str().unwrap()];
    let lines = |output: &Output| -> Vec<Value> {
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        let lines = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let mistakes = "home = \"relative\"\n[[provider]]\ntype = \"s3\"\n[store]\npath = 5\n";
    std::fs::write(&file, mistakes).unwrap();
    let output = wpkd(&arguments).await;
    assert_eq!(output.status.code(), Some(2));
    let told = lines(&output);
    let checked = wpkd(&["check", "--config", file.to_str().unwrap()]).await;
    let checked = String::from_utf8(checked.stderr).unwrap();
    let (end, checks) = told.split_last().unwrap();
    assert_eq!(*end, json!({"event": "end"}));
    assert_eq!(checks.len(), 3, "{checks:?}");
    for check in checks {
        assert_eq!([&check["name"], &check["level"]], ["settings", "failure"]);
        let mistake = check["detail"].as_str().unwrap();
        assert!(
            checked.lines().any(|line| line == mistake),
            "{mistake} is not in\n{checked}"
        );
    }

    // A daemon that never ran: it says so, and makes nothing.
    std::fs::write(&file, format!("home = {home:?}\n")).unwrap();
    let output = wpkd(&arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let told = lines(&output);
    assert_eq!(told[0]["level"], "ok", "{told:?}");
    let upgrade = told
        .iter()
        .find(|line| line["name"] == "upgrade socket")
        .unwrap();
    assert_eq!(
        [&upgrade["level"], &upgrade["section"]],
        ["failure", "source.0"]
    );
    assert_eq!(*told.last().unwrap(), json!({"event": "end"}));
    assert!(!home.exists());
}

#[tokio::test]
async fn the_commented_example_is_good_and_says_the_defaults() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/wpkd.toml");
    let output = wpkd(&["check", "--config", example]).await;
    let (printed, errors) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{errors}");
    let without = String::from_utf8(wpkd(&["check"]).await.stdout).unwrap();
    assert_eq!(printed, without);
}

#[tokio::test]
async fn a_second_daemon_does_not_take_the_sockets_away() {
    let manager = Manager::start("").await.unwrap();
    let config = manager.config();
    let output = wpkd(&["--config", config.to_str().unwrap()]).await;
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("queue/tasks/upgrade"), "{errors}");
    assert!(
        manager.ask("{}").await.is_some(),
        "the first one still answers"
    );
}
