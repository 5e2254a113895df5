//! `wpkd check`, and what keeps a daemon from starting.

use std::process::Output;

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
