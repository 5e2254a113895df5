//! The fakes behave as the parts they stand in for.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use wpk_testkit::{Client, FakeRemoted, FakeWazuhDb, Home, Process, ask, wait_until};

const DEADLINE: Duration = Duration::from_secs(20);

async fn tell(remoted: &FakeRemoted, command: &str) -> Option<String> {
    let answer = ask(remoted.path(), command).await?;
    Some(String::from_utf8(answer).unwrap())
}

/// A bare upgrade socket: remembers the payload of every frame.
fn upgrade_socket(home: &Home) -> Arc<Mutex<Vec<Value>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = UnixListener::bind(home.upgrade_socket()).unwrap();
    let log = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            // Nobody reads this any more, as with the real event pipeline.
            let _ = stream.write_all(b"x").await;
            log.lock()
                .unwrap()
                .push(serde_json::from_slice(&bytes[4..]).unwrap());
        }
    });
    heard
}

const UPGRADE: &str =
    r#"001 upgrade {"command":"upgrade","parameters":{"file":"f","installer":"upgrade.sh"}}"#;
const CLEAR: &str = r#"001 upgrade {"command":"clear_upgrade_result","parameters":{}}"#;

#[tokio::test]
async fn an_upgraded_agent_acknowledges_until_it_is_told_to_stop() {
    let home = Home::new().unwrap();
    let heard = upgrade_socket(&home);
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    remoted.acknowledge_to(home.upgrade_socket());
    remoted.set_ack_interval(Some(Duration::from_millis(5)));
    let answer = tell(&remoted, UPGRADE).await.unwrap();
    assert_eq!(answer, r#"{"error":0,"message":"0","data":[]}"#);
    let repeated = wait_until(DEADLINE, || async {
        (heard.lock().unwrap().len() >= 3).then_some(())
    });
    repeated.await.unwrap();
    assert_eq!(
        heard.lock().unwrap()[0],
        json!({"command": "upgrade_update_status", "parameters": {"error": 0,
            "message": "Upgrade was successful", "status": "Done", "agents": [1]}})
    );
    tell(&remoted, CLEAR).await.unwrap();
    assert!(
        remoted
            .wait_for(1, "clear_upgrade_result", DEADLINE)
            .await
            .is_some()
    );
    assert_eq!(remoted.steps(1), ["upgrade", "clear_upgrade_result"]);
    assert_eq!(
        remoted.upgraded(1),
        Some(("f".to_owned(), "upgrade.sh".to_owned()))
    );
}

#[tokio::test]
async fn rules_change_answers_and_acknowledgements() {
    let home = Home::new().unwrap();
    let heard = upgrade_socket(&home);
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    remoted.acknowledge_to(home.upgrade_socket());
    remoted.set_ack_delay(Duration::ZERO);
    remoted
        .set_rules(
            "1 upgrade @ack:1:Failed\n2 open @count:1:err no\n3 close @close\n4 sha1 @raw:0100\n",
        )
        .unwrap();
    tell(&remoted, UPGRADE).await.unwrap();
    let came = wait_until(DEADLINE, || async {
        heard.lock().unwrap().first().cloned()
    });
    let parameters = &came.await.unwrap()["parameters"];
    assert_eq!(parameters["error"], 1);
    assert_eq!(
        parameters["message"],
        "Upgrade failed due missing dependency"
    );
    assert_eq!(parameters["status"], "Failed");

    assert_eq!(tell(&remoted, "002 com open wb f").await.unwrap(), "err no");
    assert_eq!(tell(&remoted, "002 com open wb f").await.unwrap(), "ok ");
    assert_eq!(tell(&remoted, "003 com close f").await, None);
    let mut client = Client::connect(remoted.path()).await.unwrap();
    assert!(client.ask("004 com sha1 f").await.is_err(), "half a length");
    assert!(remoted.set_rules("nonsense").is_err());
}

#[tokio::test]
async fn what_a_real_agent_would_refuse_is_a_violation() {
    let home = Home::new().unwrap();
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    assert_eq!(
        tell(&remoted, "001 com close f").await.unwrap(),
        "err No file opened"
    );
    tell(&remoted, "1 com close f").await;
    let mut client = Client::connect(remoted.path()).await.unwrap();
    client.send_raw(65_537u32.to_le_bytes()).await.unwrap();
    assert_eq!(client.receive().await.unwrap(), None);
    assert_eq!(remoted.violations().len(), 3, "{:?}", remoted.violations());
}

#[tokio::test]
async fn rows_of_recordings_are_understood() {
    let home = Home::new().unwrap();
    let db = FakeWazuhDb::start(home.wdb_socket()).unwrap();
    db.set_up(
        &json!({"agent_defaults": {"platform": "centos", "minor": null},
        "agents": [{"id": 5, "status": "pending"}]}),
    );
    let answer = ask(db.path(), "global get-agent-info 5").await.unwrap();
    let row: Value = serde_json::from_slice(answer.strip_prefix(b"ok ").unwrap()).unwrap();
    assert_eq!(row[0]["os_platform"], "centos");
    assert_eq!(row[0]["os_minor"], Value::Null);
    assert_eq!(row[0]["os_major"], "22");
    assert_eq!(row[0]["connection_status"], "pending");
    db.set_up(&json!({"agents": "1..700 all disconnected"}));
    let answer = ask(db.path(), "global get-all-agents last_id 698")
        .await
        .unwrap();
    assert_eq!(answer, br#"ok [{"id":699},{"id":700}]"#);
}

#[tokio::test]
async fn a_process_is_heard_signalled_and_reaped() {
    let home = Home::new().unwrap();
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "echo out; echo ready >&2; exec sleep 1000"]);
    let mut process = Process::start(command, home.path("log")).unwrap();
    assert_eq!(
        process.wait_for_line("ready", DEADLINE).await.unwrap(),
        "ready"
    );
    assert!(process.output().contains("out\n"));
    let pid = process.id().unwrap();
    process.signal(wpk_testkit::process::Signal::TERM).unwrap();
    assert!(!process.wait(DEADLINE).await.unwrap().success());
    assert!(process.wait_for_line("never", DEADLINE).await.is_none());
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());

    let mut command = tokio::process::Command::new("sleep");
    command.arg("1000");
    let process = Process::start(command, home.path("log")).unwrap();
    let pid = process.id().unwrap();
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
