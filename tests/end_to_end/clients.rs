//! Clients that are rude, slow, or gone, and what others notice of it.

use std::time::{Duration, Instant};

use serde_json::json;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{Client, Manager};

const RESULT: &str =
    r#"{"origin":{"module":"api"},"command":"upgrade_result","parameters":{"agents":[1]}}"#;

#[tokio::test]
async fn rude_clients_are_dropped_and_hurt_nobody() {
    let manager = Manager::start("[[source]]\ntype = \"unix-socket\"\nidle_timeout = \"1s\"")
        .await
        .unwrap();
    let socket = manager.home.upgrade_socket();
    let frames: [&[u8]; 4] = [
        b"\xff\xff\xff\xff",
        b"\x64\x00\x00\x00{\"comm",
        b"\x10\x00",
        b"",
    ];
    let mut rude = Vec::new();
    for bytes in frames {
        let mut client = Client::connect(&socket).await.unwrap();
        if !bytes.is_empty() {
            client.send_raw(bytes).await.unwrap();
        }
        rude.push(client);
    }
    // Others are answered as if nothing was there.
    let began = Instant::now();
    for _ in 0..50 {
        assert!(manager.ask(RESULT).await.is_some());
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    // And the rude ones are shown out.
    for client in &mut rude {
        let closed = tokio::time::timeout(Duration::from_secs(20), client.receive()).await;
        assert!(matches!(closed, Ok(Ok(None) | Err(_))), "{closed:?}");
    }
    assert!(manager.ask(RESULT).await.is_some());
}

#[tokio::test]
async fn several_requests_on_one_connection_and_clients_that_do_not_read() {
    let manager = Manager::start("").await.unwrap();
    let mut client = Client::connect(manager.home.upgrade_socket())
        .await
        .unwrap();
    for _ in 0..10 {
        let answer = client.ask(RESULT).await.unwrap().unwrap();
        assert!(answer.starts_with(b"{\"error\":0,"));
    }
    // Many requests at once, answered in order.
    for agent in 0..5 {
        client
            .send(RESULT.replace("[1]", &format!("[{agent}]")))
            .await
            .unwrap();
    }
    for agent in 0..5 {
        let answer = String::from_utf8(client.receive().await.unwrap().unwrap()).unwrap();
        assert!(answer.contains(&format!("\"agent\":{agent}")), "{answer}");
    }
    for _ in 0..20 {
        let mut gone = Client::connect(manager.home.upgrade_socket())
            .await
            .unwrap();
        gone.send(RESULT).await.unwrap();
        drop(gone);
    }
    assert!(manager.ask(RESULT).await.is_some());
}

#[tokio::test]
async fn the_sockets_have_the_rights_the_settings_say() {
    use std::os::unix::fs::PermissionsExt;
    let mut manager = Manager::start("").await.unwrap();
    for socket in [manager.home.upgrade_socket(), manager.home.task_socket()] {
        let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o660, "{}", socket.display());
    }
    assert!(manager.stop().await.unwrap().success());
    assert!(!manager.home.upgrade_socket().exists());
}

#[tokio::test]
async fn a_silent_agent_delays_nobody() {
    let manager = Manager::start("").await.unwrap();
    manager
        .wdb
        .set_agents((1..=2).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let file = manager.home.path("x.wpk");
    std::fs::write(&file, [1; 1000]).unwrap();
    manager
        .remoted
        .set_rules("1 lock_restart @close\n")
        .unwrap();
    manager
        .upgrade_custom(&[1, 2], json!({"file_path": file}))
        .await;
    manager.wait_for_status(2, &["Updated"]).await.unwrap();
    manager.wait_for_status(1, &["Error"]).await.unwrap();
}
