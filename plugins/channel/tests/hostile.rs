//! What strangers and agents that break the rules can do: nothing to others.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use bytes::Bytes;
use common::{Manager, settings, span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use wpk_api::{AgentId, ConnectionStatus, Transport, TransportError};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::{self, ChannelAgent, DEADLINE, client_config, client_config_with};
use wpk_wire::{Acknowledgement, ChannelMessage, Hello, Welcome, frame};

/// Dials, says hello, and returns how the connection ended.
async fn refusal(
    address: &str,
    config: tokio_rustls::rustls::ClientConfig,
) -> std::io::Result<Option<ChannelMessage>> {
    let mut agent = ChannelAgent::dial(address, config).await?;
    agent
        .send(&ChannelMessage::Hello(channel_agent::hello()))
        .await?;
    agent.recv().await
}

#[tokio::test]
async fn only_tls_1_3_with_a_certificate_of_our_ca_gets_through() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let good = manager.enroll("web01").await;
    let address = manager.address();

    let other_home = tempfile::tempdir().unwrap();
    let other_manager = Manager::start(other_home.path());
    let foreign = other_manager.enroll("web01").await;

    let identity = Some((good.certificate_pem.as_str(), good.key_pem.as_str()));
    let none = client_config_with(&good.ca_pem, None, &TLS13).unwrap();
    let goodbye = refusal(&address, none).await.unwrap();
    let Some(ChannelMessage::Goodbye { reason }) = goodbye else {
        panic!("without a certificate there is no welcome: {goodbye:?}");
    };
    assert!(reason.contains("without a certificate"), "{reason}");

    let stranger = Some((foreign.certificate_pem.as_str(), foreign.key_pem.as_str()));
    let stranger = client_config_with(&good.ca_pem, stranger, &TLS13).unwrap();
    let error = refusal(&address, stranger).await.unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");

    let old = client_config_with(&good.ca_pem, identity, &TLS12).unwrap();
    let error = refusal(&address, old).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");

    // The other way round: an agent does not talk to a manager of another CA.
    let misled = client_config_with(&foreign.ca_pem, identity, &TLS13).unwrap();
    let error = refusal(&address, misled).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    // The manager's own certificate is none of an agent.
    let own = |name: &str| std::fs::read_to_string(home.path().join("etc/channel").join(name));
    let (certificate, key) = (own("manager.pem").unwrap(), own("manager.key").unwrap());
    let manager_as_agent =
        client_config_with(&good.ca_pem, Some((&certificate, &key)), &TLS13).unwrap();
    let error = refusal(&address, manager_as_agent).await.unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");

    let welcome = refusal(&address, client_config(&good).unwrap()).await;
    assert!(matches!(welcome, Ok(Some(ChannelMessage::Welcome(_)))));
    other_manager.stop().await;
    manager.stop().await;
}

#[tokio::test]
async fn whoever_does_not_introduce_itself_is_dropped_in_time() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            handshake_timeout: span(1_500),
            ..settings()
        },
    );
    let enrollment = manager.enroll("web01").await;

    // No TLS at all, half of a TLS record, and TLS without a Hello.
    let mut mute = TcpStream::connect(manager.address()).await.unwrap();
    let mut half = TcpStream::connect(manager.address()).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let config = client_config(&enrollment).unwrap();
    let mut shy = ChannelAgent::dial(&manager.address(), config)
        .await
        .unwrap();
    for stream in [&mut mute, &mut half] {
        let read = timeout(DEADLINE, stream.read_u8()).await.unwrap();
        assert!(read.is_err(), "closed");
    }
    let goodbye = shy.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("silent: "), "{goodbye}");
    assert_eq!(
        manager.status(enrollment.id).await,
        ConnectionStatus::NeverConnected
    );
    manager.stop().await;
}

/// Sends bytes in place of a Hello.
async fn instead_of_hello(manager: &Manager, bytes: &[u8]) -> String {
    let enrollment = manager.enroll(&format!("agent-{}", rand_name(bytes))).await;
    let config = client_config(&enrollment).unwrap();
    let mut agent = ChannelAgent::dial(&manager.address(), config)
        .await
        .unwrap();
    agent.send_raw(bytes).await.unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert_eq!(
        manager.status(enrollment.id).await,
        ConnectionStatus::NeverConnected
    );
    goodbye
}

/// A name for each case.
fn rand_name(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(7u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    sum.to_string()
}

#[tokio::test]
async fn a_wrong_greeting_is_answered_with_goodbye() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let encoded = |message: ChannelMessage| message.encode().unwrap().to_vec();
    let hello = |change: fn(&mut Hello)| {
        let mut hello = channel_agent::hello();
        change(&mut hello);
        encoded(ChannelMessage::Hello(hello))
    };
    let cases = [
        (u32::MAX.to_le_bytes().to_vec(), "over the limit"),
        (frame::header(60_000).to_vec(), "over the limit"),
        (frame::frame(&[]).to_vec(), "0 bytes"),
        (frame::frame(&[99, 0, 0, 0, 0]).to_vec(), "kind 99"),
        (frame::frame(b"\x01\0\0\0\0{}").to_vec(), "hello"),
        (encoded(ChannelMessage::Ping), "must be first"),
        (hello(|hello| hello.protocol = 2), "protocol 2"),
        (hello(|hello| hello.platform = "x".repeat(300)), "platform"),
        (hello(|hello| hello.version = "v4\n".into()), "version"),
    ];
    for (bytes, words) in cases {
        let goodbye = instead_of_hello(&manager, &bytes).await;
        assert!(goodbye.starts_with("protocol: "), "{goodbye}");
        assert!(goodbye.contains(words), "{goodbye} does not say {words:?}");
    }
    manager.stop().await;
}

#[tokio::test]
async fn a_connected_agent_that_breaks_the_rules_ends_its_own_connection_only() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (good, agent) = manager.agent("good").await;
    let serving = tokio::spawn(agent.serve(|command| command));
    let encoded = |message: ChannelMessage| message.encode().unwrap().to_vec();
    let welcome = Welcome {
        protocol: 1,
        agent: AgentId::new(1).unwrap(),
        name: "me".into(),
        keepalive_seconds: 1,
        certificate_seconds: None,
    };
    let command = ChannelMessage::Command {
        stream: 1,
        bytes: Bytes::new(),
    };
    let cases = [
        ("length", u32::MAX.to_le_bytes().to_vec()),
        ("kind", frame::frame(&[0, 0, 0, 0, 0]).to_vec()),
        ("stream", frame::frame(&[4, 0, 0, 0, 0]).to_vec()),
        (
            "hello",
            encoded(ChannelMessage::Hello(channel_agent::hello())),
        ),
        ("welcome", encoded(ChannelMessage::Welcome(welcome))),
        ("command", encoded(command)),
    ];
    for (name, bytes) in cases {
        let (id, mut agent) = manager.agent(name).await;
        // What it leaves unanswered ends with it.
        let (pending, goodbye) = tokio::join!(
            manager.channel.request(id, Bytes::from_static(b"x")),
            async {
                agent.command().await.unwrap();
                agent.send_raw(&bytes).await.unwrap();
                agent.goodbye().await.unwrap().unwrap()
            }
        );
        assert!(goodbye.starts_with("protocol: "), "{name}: {goodbye}");
        assert!(matches!(pending, Err(TransportError::Closed { .. })));
        assert_eq!(manager.status(id).await, ConnectionStatus::Disconnected);
    }
    let echo = manager.channel.request(good, Bytes::from_static(b"echo"));
    assert_eq!(echo.await.unwrap(), "echo");
    manager.stop().await;
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn floods_end_the_connection_and_reach_the_engine_once() {
    let home = tempfile::tempdir().unwrap();
    let mut manager = Manager::start(home.path());
    manager.turns.forget_permits(1_000);
    let acknowledgement = Acknowledgement::for_result(0).unwrap().to_bytes();
    let acknowledge = ChannelMessage::Acknowledge(acknowledgement.into());
    let stray = ChannelMessage::Answer {
        stream: 4_711,
        bytes: Bytes::from_static(b"ok "),
    };
    let cases = [
        ("acknowledge", acknowledge.clone()),
        ("ping", ChannelMessage::Ping),
        ("answer", stray),
    ];
    for (name, message) in cases {
        let (_, mut agent) = manager.agent(name).await;
        let flood = message.encode().unwrap().repeat(1_000);
        agent.send_raw(&flood).await.unwrap();
        let goodbye = agent.goodbye().await.unwrap().unwrap();
        assert!(goodbye.starts_with("flood: "), "{goodbye}");
    }
    // The engine had not finished the first, so no second one reached it.
    manager.next_request().await;
    assert!(manager.requests.try_recv().is_err());

    // A few are no flood; when the engine has finished, the next one gets through.
    let (id, mut agent) = manager.agent("patient").await;
    for _ in 0..5 {
        agent.send(&acknowledge).await.unwrap();
    }
    let long = Bytes::from(vec![b' '; 5_000]);
    agent
        .send(&ChannelMessage::Acknowledge(long))
        .await
        .unwrap();
    manager.next_request().await;
    manager.turns.add_permits(1_000);
    manager.acknowledged(&mut agent, &acknowledge).await;
    assert_eq!(manager.status(id).await, ConnectionStatus::Active);
    manager.stop().await;
}

#[tokio::test]
async fn connections_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            max_connections: 2,
            ..settings()
        },
    );
    let (first, agent) = manager.agent("first").await;
    let mut second = TcpStream::connect(manager.address()).await.unwrap();
    let mut third = TcpStream::connect(manager.address()).await.unwrap();
    let read = timeout(DEADLINE, third.read_u8()).await.unwrap();
    assert!(read.is_err(), "one too many");
    second.write_all(b"this is no TLS").await.unwrap();
    let mut alert = Vec::new();
    let _ = timeout(DEADLINE, second.read_to_end(&mut alert))
        .await
        .unwrap();

    // Places are given back.
    let enrollment = manager.enroll("second").await;
    let connected = wpk_testkit::wait_until(DEADLINE, async || {
        ChannelAgent::connect(&enrollment).await.ok()
    });
    let _second = connected.await.unwrap();
    drop(agent);
    manager.until(first, ConnectionStatus::Disconnected).await;
    manager.stop().await;
}

#[tokio::test]
async fn one_certificate_locks_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            max_connections: 100,
            ..settings()
        },
    );
    let greedy = manager.enroll("greedy").await;
    let good = manager.enroll("good").await;
    let mut silent = Vec::new();
    let mut sent_away = 0;
    for _ in 0..100 {
        let config = client_config(&greedy).unwrap();
        let dialled = ChannelAgent::dial(&manager.address(), config).await;
        let Ok(mut agent) = dialled else { continue };
        if silent.len() < 8 {
            silent.push(agent);
            continue;
        }
        let goodbye = agent.goodbye().await.unwrap().unwrap();
        assert!(goodbye.starts_with("flood: "), "{goodbye}");
        sent_away += 1;
    }
    assert_eq!(sent_away, 92);
    // They have not said Hello, so they count for their address as well.
    let (_agent, welcome) = ChannelAgent::connect(&good).await.unwrap();
    assert_eq!(welcome.agent, good.id);
    // Places are given back.
    drop(silent);
    let connected =
        wpk_testkit::wait_until(DEADLINE, async || ChannelAgent::connect(&greedy).await.ok());
    connected.await.unwrap();
    manager.stop().await;
}
