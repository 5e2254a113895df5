//! What agents say of their upgrades.

use crate::common::Manager;
use bytes::Bytes;
use serde_json::json;
use wpk_api::{ConnectionStatus, Endpoint, Peer, Transport};
use wpk_testkit::channel_agent::{self, ChannelAgent};
use wpk_wire::{Acknowledgement, ChannelMessage};

#[tokio::test]
async fn an_agent_acknowledges_for_itself_only() {
    let home = tempfile::tempdir().unwrap();
    let mut manager = Manager::start(home.path());
    manager.enroll("other").await;
    let (id, mut agent) = manager.agent("web01").await;
    assert_eq!(id.get(), 2);
    let forged = json!({
        "command": "upgrade_update_status",
        "agents": [1],
        "parameters": {
            "agents": [1], "error": 0, "message": "Upgrade was successful", "status": "Done",
        },
    });
    let forged = Bytes::from(forged.to_string());
    agent
        .send(&ChannelMessage::Acknowledge(forged))
        .await
        .unwrap();
    let request = manager.next_request().await;
    assert_eq!(request.endpoint, Endpoint::Upgrade);
    assert_eq!(request.peer, Peer::Agent(id));
    assert_eq!(
        request.payload,
        r#"{"command":"upgrade_update_status","parameters":{"error":0,"message":"Upgrade was successful","status":"Done","agents":[2]}}"#
    );
    let other_command = json!({"command": "upgrade", "parameters": {"agents": [1]}});
    let other_command = Bytes::from(other_command.to_string());
    agent
        .send(&ChannelMessage::Acknowledge(other_command))
        .await
        .unwrap();
    let honest = Acknowledgement::for_result(2).unwrap().to_bytes();
    let honest = ChannelMessage::Acknowledge(honest.into());
    let request = manager.acknowledged(&mut agent, &honest).await;
    assert!(
        request
            .payload
            .ends_with(br#""status":"Failed","agents":[2]}}"#)
    );
    manager.stop().await;
}

#[tokio::test]
async fn an_agent_says_whether_it_names_tasks_and_its_word_keeps_them() {
    let home = tempfile::tempdir().unwrap();
    let mut manager = Manager::start(home.path());
    let (id, mut agent) = manager.agent("new").await;
    assert!(manager.channel.names_tasks(id).await);
    let word = channel_agent::acknowledgement(0, "Done", Some(7));
    let request = manager.acknowledged(&mut agent, &word).await;
    let payload = String::from_utf8(request.payload.to_vec()).unwrap();
    assert!(
        payload.ends_with(r#""status":"Done","task_id":7,"agents":[1]}}"#),
        "{payload}"
    );

    // One that was made before has no such member in its Hello.
    let enrollment = manager.enroll("old").await;
    let config = channel_agent::client_config(&enrollment).unwrap();
    let mut old = ChannelAgent::dial(&manager.address(), config)
        .await
        .unwrap();
    let hello = br#"{"protocol":1,"platform":"ubuntu","version":"v4.14.0"}"#;
    let payload = [&[1, 0, 0, 0, 0], &hello[..]].concat();
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    old.send_raw(&[&length[..], &payload].concat())
        .await
        .unwrap();
    let welcome = old.recv().await.unwrap();
    assert!(
        matches!(welcome, Some(ChannelMessage::Welcome(_))),
        "{welcome:?}"
    );
    manager.until(enrollment.id, ConnectionStatus::Active).await;
    assert!(!manager.channel.names_tasks(enrollment.id).await);
    let word = channel_agent::acknowledgement(0, "Done", None);
    let request = manager.acknowledged(&mut old, &word).await;
    let payload = String::from_utf8(request.payload.to_vec()).unwrap();
    assert!(
        payload.ends_with(r#""status":"Done","agents":[2]}}"#),
        "{payload}"
    );
    manager.stop().await;
}
