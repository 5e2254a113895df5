//! What an administrator's log says of agents: each fact in a field of its own,
//! so that a log can be searched for one agent or one address.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use bytes::Bytes;
use common::Manager;
use wpk_api::words::steers;
use wpk_testkit::channel_agent::{self, ChannelAgent, DEADLINE};
use wpk_testkit::log::{Fields, Log};
use wpk_testkit::wait_until;
use wpk_wire::ChannelMessage;

/// The one event with this message.
fn event(log: &Log, message: &str) -> Fields {
    let mut found = log.find(message);
    assert_eq!(found.len(), 1, "{message:?} in {:#?}", log.events());
    found.remove(0)
}

#[tokio::test]
async fn the_log_names_agent_peer_and_reason_in_fields() {
    let log = Log::of("wpk_plugin_channel");
    let _kept = log.keep();
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let listens = event(&log, "agent channel listening");
    assert_eq!(listens["address"], manager.channel.local_addr().to_string());
    assert_eq!(listens["enrolled"], "0");

    let enrollment = manager.enroll("web01").await;
    let enrolled = event(&log, "the agent was enrolled");
    assert_eq!(
        (enrolled["agent"].as_str(), enrolled["name"].as_str()),
        ("001", "web01")
    );

    let (agent, _) = ChannelAgent::connect(&enrollment).await.unwrap();
    let connected = event(&log, "the agent connected");
    assert_eq!(
        (connected["agent"].as_str(), connected["name"].as_str()),
        ("001", "web01")
    );
    assert!(connected["peer"].starts_with("127.0.0.1:"), "{connected:?}");

    drop(agent);
    let ended = async || log.find("the agent disconnected").pop();
    let disconnected = wait_until(DEADLINE, ended).await.unwrap();
    assert_eq!(disconnected["agent"], "001");
    assert_eq!(disconnected["peer"], connected["peer"]);
    assert!(disconnected.contains_key("reason"), "{disconnected:?}");
}

/// Whatever an agent says: it is short, and steers nobody's terminal.
#[tokio::test]
async fn no_word_of_an_agent_reaches_the_log_as_it_came() {
    let log = Log::of("wpk_plugin_channel");
    let _kept = log.keep();
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let evil = format!("\u{1b}[2J\nERROR\u{202e}{}", "x".repeat(3_000));
    let config = |enrollment| channel_agent::client_config(enrollment).unwrap();

    // A greeting that is none, an acknowledgement that is none, and a goodbye.
    let rude = manager.enroll("rude").await;
    let mut agent = ChannelAgent::dial(&manager.address(), config(&rude))
        .await
        .unwrap();
    let greeting = serde_json::json!({"protocol": evil, "platform": evil, "version": evil});
    let greeting = [&[1, 0, 0, 0, 0], greeting.to_string().as_bytes()].concat();
    let length = u32::try_from(greeting.len()).unwrap().to_le_bytes();
    agent
        .send_raw(&[&length[..], &greeting].concat())
        .await
        .unwrap();
    let dismissed = agent.goodbye().await.unwrap().unwrap();
    assert!(dismissed.starts_with("protocol: "), "{dismissed}");
    let polite = manager.enroll("polite").await;
    let (mut agent, _) = ChannelAgent::connect(&polite).await.unwrap();
    let word = serde_json::json!({"command": evil, "parameters": {}});
    let word = Bytes::from(word.to_string());
    agent
        .send(&ChannelMessage::Acknowledge(word))
        .await
        .unwrap();
    let goodbye = serde_json::json!({"reason": evil});
    let goodbye = [&[8, 0, 0, 0, 0], goodbye.to_string().as_bytes()].concat();
    let length = u32::try_from(goodbye.len()).unwrap().to_le_bytes();
    agent
        .send_raw(&[&length[..], &goodbye].concat())
        .await
        .unwrap();
    let ended = async || log.find("the agent disconnected").pop();
    wait_until(DEADLINE, ended).await.unwrap();

    for message in [
        "the agent was sent away",
        "an acknowledgement is not understood",
    ] {
        event(&log, message);
    }
    for event in log.events() {
        for (field, text) in event {
            assert!(text.len() < 1_000, "{field}: {} bytes", text.len());
            assert!(!text.contains(steers), "{field}: {text:?}");
        }
    }
}
