//! Connections: commands and answers, silence, slow readers, many at once.

use crate::common::{Manager, context, settings, span};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wpk_api::{
    AgentDirectory, AgentId, CancellationToken, ConnectionStatus, RequestSource, Transport,
    TransportError,
};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::{self, ChannelAgent, DEADLINE};
use wpk_wire::{ChannelMessage, Hello};

#[tokio::test]
async fn an_enrolled_agent_connects_takes_a_command_and_answers() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let enrollment = manager.enroll("web01").await;
    let id = enrollment.id;
    assert_eq!(id.get(), 1);
    assert_eq!(enrollment.address, Some(manager.address()));
    assert_eq!(manager.status(id).await, ConnectionStatus::NeverConnected);
    let command = Bytes::from_static(b"com lock_restart -1");
    assert_eq!(
        manager.channel.request(id, command.clone()).await,
        Err(TransportError::NotConnected(id))
    );

    let (mut agent, welcome) = ChannelAgent::connect(&enrollment).await.unwrap();
    assert_eq!((welcome.agent.get(), welcome.name.as_str()), (1, "web01"));
    assert_eq!(welcome.keepalive_seconds, 10);
    let info = manager.info(id).await;
    assert_eq!(info.connection, ConnectionStatus::Active);
    assert_eq!(info.name.as_deref(), Some("web01"));
    assert_eq!(info.platform.name.as_deref(), Some("ubuntu"));
    assert_eq!(info.platform.major.as_deref(), Some("22"));
    assert_eq!(info.platform.minor.as_deref(), Some("04"));
    assert_eq!(info.platform.arch.as_deref(), Some("x86_64"));
    assert_eq!(info.version.as_deref(), Some("Wazuh v4.2.1"));
    assert_eq!(info.node.as_deref(), Some("node01"));

    let (answer, ()) = tokio::join!(manager.channel.request(id, command.clone()), async {
        let (stream, bytes) = agent.command().await.unwrap();
        assert_eq!(bytes, command);
        agent.answer(stream, "ok ").await.unwrap();
    });
    assert_eq!(answer.unwrap(), "ok ");

    // Large ones both ways, two under way, answered the other way round.
    let large = Bytes::from(vec![7; manager.channel.max_command()]);
    let (first, second, ()) = tokio::join!(
        manager.channel.request(id, large.clone()),
        manager.channel.request(id, Bytes::from_static(b"small")),
        async {
            let mut commands = [
                agent.command().await.unwrap(),
                agent.command().await.unwrap(),
            ];
            commands.sort_by_key(|(_, bytes)| bytes.len());
            for (stream, bytes) in commands {
                agent.answer(stream, bytes).await.unwrap();
            }
        }
    );
    assert_eq!(first.unwrap(), large);
    assert_eq!(second.unwrap(), "small");
    let too_large = Bytes::from(vec![7; manager.channel.max_command() + 1]);
    assert!(matches!(
        manager.channel.request(id, too_large).await,
        Err(TransportError::Refused { .. })
    ));

    drop(agent);
    manager.until(id, ConnectionStatus::Disconnected).await;
    manager.stop().await;
}

#[tokio::test]
async fn a_second_connection_takes_the_place_of_the_first() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let enrollment = manager.enroll("web01").await;
    let id = enrollment.id;
    let (mut first, _) = ChannelAgent::connect(&enrollment).await.unwrap();
    let (pending, mut second) = tokio::join!(
        manager.channel.request(id, Bytes::from_static(b"wait")),
        async {
            first.command().await.unwrap();
            ChannelAgent::connect(&enrollment).await.unwrap().0
        }
    );
    let Err(TransportError::Closed { reason, .. }) = pending else {
        panic!("{pending:?}");
    };
    assert!(reason.starts_with("replaced: "), "{reason}");
    let goodbye = first.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("replaced: "), "{goodbye}");

    assert_eq!(manager.status(id).await, ConnectionStatus::Active);
    let (answer, ()) = tokio::join!(
        manager.channel.request(id, Bytes::from_static(b"again")),
        async {
            let (stream, _) = second.command().await.unwrap();
            second.answer(stream, "here").await.unwrap();
        }
    );
    assert_eq!(answer.unwrap(), "here");
    manager.stop().await;
}

#[tokio::test]
async fn a_silent_agent_is_noticed_and_a_living_one_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            keepalive: span(300),
            ..settings()
        },
    );
    let (living, agent) = manager.agent("living").await;
    let living_task = tokio::spawn(agent.serve(|command| command));
    let (silent, mut agent) = manager.agent("silent").await;
    // A command under way shows the moment the loss is noticed.
    let lost = manager
        .channel
        .request(silent, Bytes::from_static(b"there?"));
    let Err(TransportError::Closed { reason, .. }) = timeout(DEADLINE, lost).await.unwrap() else {
        panic!("the half-open connection was not noticed");
    };
    assert!(reason.starts_with("silent: "), "{reason}");
    assert_eq!(manager.status(silent).await, ConnectionStatus::Disconnected);
    let mut pings = 0;
    loop {
        match agent.recv().await.unwrap() {
            Some(ChannelMessage::Ping) => pings += 1,
            Some(ChannelMessage::Command { .. }) => {}
            Some(ChannelMessage::Goodbye { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=3).contains(&pings), "{pings} pings");

    assert_eq!(manager.status(living).await, ConnectionStatus::Active);
    let answer = manager.channel.request(living, Bytes::from_static(b"echo"));
    assert_eq!(answer.await.unwrap(), "echo");
    manager.stop().await;
    living_task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_times_out_and_its_late_answer_hurts_nobody() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            request_timeout: span(1_000),
            ..settings()
        },
    );
    let (id, mut agent) = manager.agent("slow").await;
    let late = manager.channel.request(id, Bytes::from_static(b"1")).await;
    assert_eq!(late, Err(TransportError::TimedOut(id)));
    let (stream, _) = agent.command().await.unwrap();
    agent.answer(stream, "late").await.unwrap();

    // Dropped in the middle, then the next one.
    let dropped = manager.channel.request(id, Bytes::from_static(b"2"));
    tokio::select! {
        answer = dropped => panic!("{answer:?}"),
        command = agent.command() => agent.answer(command.unwrap().0, "nobody waits").await.unwrap(),
    }
    let (answer, ()) = tokio::join!(
        manager.channel.request(id, Bytes::from_static(b"3")),
        async {
            let (stream, bytes) = agent.command().await.unwrap();
            assert_eq!(bytes, "3");
            agent.answer(stream, "good").await.unwrap();
        }
    );
    assert_eq!(answer.unwrap(), "good");
    manager.stop().await;
}

#[tokio::test]
async fn an_agent_that_reads_nothing_delays_no_other() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::with(
        home.path(),
        Settings {
            request_timeout: span(2_000),
            ..settings()
        },
    );
    let (stuck, _agent) = manager.agent("stuck").await;
    let (fine, agent) = manager.agent("fine").await;
    let serving = tokio::spawn(agent.serve(|command| command));
    let large = Bytes::from(vec![1; 100_000]);
    let stuffing: Vec<_> = (0..60)
        .map(|_| {
            let (channel, large) = (Arc::clone(&manager.channel), large.clone());
            tokio::spawn(async move { channel.request(stuck, large).await })
        })
        .collect();
    for _ in 0..100 {
        let answer = manager.channel.request(fine, Bytes::from_static(b"echo"));
        assert_eq!(answer.await.unwrap(), "echo");
    }
    for request in stuffing {
        assert_eq!(request.await.unwrap(), Err(TransportError::TimedOut(stuck)));
    }
    manager.stop().await;
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn two_hundred_agents_at_once() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let mut agents = Vec::new();
    for number in 0..200 {
        let enrollment = manager.enroll(&format!("agent-{number}")).await;
        agents.push(tokio::spawn(async move {
            let hello = Hello {
                version: format!("Wazuh v4.2.{}", enrollment.id.get()),
                ..channel_agent::hello()
            };
            let (agent, _) = ChannelAgent::connect_as(&enrollment, hello).await?;
            agent
                .serve(|command| {
                    [command.as_ref(), enrollment.name.as_bytes()]
                        .concat()
                        .into()
                })
                .await
        }));
    }
    let ids: Vec<_> = (1..=200).map(|id| AgentId::new(id).unwrap()).collect();
    for id in &ids {
        manager.until(*id, ConnectionStatus::Active).await;
    }
    let requests: Vec<_> = ids
        .iter()
        .map(|id| {
            let (channel, id) = (Arc::clone(&manager.channel), *id);
            tokio::spawn(async move { channel.request(id, Bytes::from_static(b"I am ")).await })
        })
        .collect();
    for (number, request) in requests.into_iter().enumerate() {
        let answer = request.await.unwrap().unwrap();
        assert_eq!(answer, format!("I am agent-{number}"));
    }
    for info in manager.channel.lookup(&ids).await.unwrap() {
        assert_eq!(info.version, Some(format!("Wazuh v4.2.{}", info.id.get())));
    }
    manager.stop().await;
    for agent in agents {
        let goodbye = agent.await.unwrap().unwrap().unwrap();
        assert!(goodbye.starts_with("stopping: "), "{goodbye}");
    }
}

#[tokio::test]
async fn a_port_in_use_and_a_second_serve_are_told_clearly() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (_, _agent) = manager.agent("web01").await;
    let other_home = tempfile::tempdir().unwrap();
    let taken = Settings {
        listen: manager.address(),
        ..settings()
    };
    let error = wpk_plugin_channel::Channel::open(taken, &context(other_home.path())).unwrap_err();
    assert!(error.to_string().contains("cannot listen on"), "{error}");

    struct Nobody;
    #[async_trait::async_trait]
    impl wpk_api::RequestService for Nobody {
        async fn call(&self, _: wpk_api::Request) -> Option<Bytes> {
            None
        }
    }
    let again = manager
        .channel
        .serve(Arc::new(Nobody), CancellationToken::new());
    let again = timeout(Duration::from_secs(10), again).await.unwrap();
    assert!(again.unwrap_err().to_string().contains("served already"));
    manager.stop().await;
}
