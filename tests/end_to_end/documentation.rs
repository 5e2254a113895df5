//! The example messages of the published documentation, sent as its readers
//! would send them: by ten lines of Python.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Manager, Repository};

const UPGRADE: &str = r#"{
    "origin": {
        "module": "api"
    },
    "command": "upgrade",
    "parameters": {
        "agents": [5,6],
        "wpk_repo": "REPOSITORY",
        "version": "v4.2.1",
        "use_http": true,
        "force_upgrade": false
    }
}"#;

const UPGRADE_CUSTOM: &str = r#"{
    "origin": {
        "module": "api"
    },
    "command": "upgrade_custom",
    "parameters": {
        "agents": [20,23],
        "file_path": "FILE",
        "installer": "custom-upgrade-script.sh"
    }
}"#;

const UPGRADE_RESULT: &str = r#"{
    "origin": {
        "module": "api"
    },
    "command": "upgrade_result",
    "parameters": {
        "agents": [5,10]
    }
}"#;

/// Sends a message with the Python client; without Python the socket is asked
/// directly, except in CI, where its absence is a failure.
async fn send(socket: &Path, message: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("end_to_end/client.py");
    let client = tokio::process::Command::new("python3")
        .arg(script)
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut client = match client {
        Ok(client) => client,
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "python3 is needed: {error}"
            );
            let why = format!("the Python client: python3 is not here ({error})");
            wpk_testkit::skipped::say_skipped(&why);
            let answer = wpk_testkit::ask(socket, message).await.unwrap();
            return serde_json::from_slice(&answer).unwrap();
        }
    };
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(message.as_bytes()).await.unwrap();
    drop(stdin);
    let output = client.wait_with_output().await.unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_documented_messages_get_the_documented_answers() {
    let repository = Repository::start().await.unwrap();
    let name = "wazuh_agent_v4.2.1_linux_x86_64.wpk";
    let wpk = vec![7u8; 100_000];
    let sha1 = wpk_testkit::repository::sha1_hex(&wpk);
    repository
        .publish_as("linux/x86_64", "v4.2.1", name, &wpk, &sha1)
        .unwrap();
    let manager = Manager::start("").await.unwrap();
    for id in [5, 6, 20, 23] {
        manager.wdb.set_agent(agent_row(id, "Wazuh v4.1.5"));
    }
    // Agent 6 waits for its turn, which never comes: it is not active.
    manager
        .wdb
        .set_column(6, "connection_status", json!("disconnected"));
    let socket = manager.home.upgrade_socket();

    let request = UPGRADE.replace("REPOSITORY", &repository.base());
    let answer = send(&socket, &request).await;
    assert_eq!(
        answer,
        json!({"error": 0, "message": "Success", "data": [
            {"error": 8, "message": "Agent is not active", "agent": 6},
            {"error": 0, "message": "Success", "agent": 5, "task_id": 1},
        ]})
    );
    manager
        .wait_for_status(5, &["Updated"])
        .await
        .expect("agent 5 is upgraded");
    assert_eq!(manager.remoted.received(5).unwrap(), wpk);

    let file = manager.home.path("agent.wpk");
    std::fs::write(&file, &wpk).unwrap();
    let request = UPGRADE_CUSTOM.replace("FILE", &file.display().to_string());
    let answer = send(&socket, &request).await;
    assert_eq!(answer["error"], 0);
    assert_eq!(
        answer["data"][0],
        json!({"error": 0, "message": "Success", "agent": 20, "task_id": 2})
    );
    assert_eq!(
        answer["data"][1],
        json!({"error": 0, "message": "Success", "agent": 23, "task_id": 3})
    );
    manager
        .wait_for_status(20, &["Updated"])
        .await
        .expect("agent 20 is upgraded");
    let installer = manager.remoted.upgraded(20).unwrap().1;
    assert_eq!(installer, "custom-upgrade-script.sh");

    for socket in [socket, manager.home.task_socket()] {
        let answer = send(&socket, UPGRADE_RESULT).await;
        let data = answer["data"].as_array().unwrap();
        assert_eq!(data.len(), 2);
        let expected = json!({
            "error": 0, "message": "Success", "agent": 5, "task_id": 1, "node": "node01",
            "module": "upgrade_module", "command": "upgrade", "status": "Updated",
            "create_time": data[0]["create_time"], "update_time": data[0]["update_time"],
        });
        assert_eq!(data[0], expected);
        assert_time(&data[0]["create_time"]);
        assert_time(&data[0]["update_time"]);
        assert_eq!(
            data[1],
            json!({"error": 3, "message": "No task in DB", "agent": 10})
        );
    }
}

/// `YYYY/MM/DD HH:MM:SS`
fn assert_time(time: &Value) {
    let text = time.as_str().unwrap();
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000/00/00 00:00:00", "{text}");
}
