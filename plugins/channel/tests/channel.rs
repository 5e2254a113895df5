//! The channel as agents and the engine use it: real TCP, real TLS, real files.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Manager, context, settings, span};
use serde_json::json;
use tokio::time::timeout;
use wpk_api::{
    AgentChange, AgentDirectory, AgentId, CancellationToken, ConnectionStatus, DirectoryError,
    Endpoint, Labels, Peer, RequestSource, Transport, TransportError,
};
use wpk_plugin_channel::Settings;
use wpk_testkit::channel_agent::{self, ChannelAgent, DEADLINE};
use wpk_wire::{Acknowledgement, ChannelMessage, Hello};

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
async fn names_ids_and_pages() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    for name in ["a", "b", "c"] {
        manager.enroll(name).await;
    }
    for bad in ["b", "", "no spaces", "../etc"] {
        let refused = manager.channel.enroll(bad).await;
        assert!(
            matches!(refused, Err(DirectoryError::Refused(_))),
            "{bad:?}"
        );
    }
    let page = manager.channel.list(None, 2).await.unwrap();
    assert_eq!((page.agents.len(), page.more), (2, true));
    let rest = manager
        .channel
        .list(Some(page.agents[1].id), 2)
        .await
        .unwrap();
    assert_eq!((rest.agents.len(), rest.more), (1, false));
    assert_eq!(rest.agents[0].name.as_deref(), Some("c"));

    let ids: Vec<_> = (0..10_000).map(|id| AgentId::new(id).unwrap()).collect();
    let found = manager.channel.lookup(&ids).await.unwrap();
    assert_eq!(found.len(), 4, "three agents and the manager itself");
    assert!(found.iter().any(|info| info.id == AgentId::MANAGER));
    manager.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_ids_certificates_and_what_agents_said() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (id, mut agent) = manager.agent("web01").await;
    let other = manager.enroll("web02").await;
    let port = manager.channel.local_addr();
    let (goodbye, ()) = tokio::join!(agent.goodbye(), manager.stop());
    assert!(goodbye.unwrap().unwrap().starts_with("stopping: "));

    let manager = Manager::with(
        home.path(),
        Settings {
            listen: port.to_string(),
            ..settings()
        },
    );
    let info = manager.info(id).await;
    assert_eq!(info.connection, ConnectionStatus::Disconnected);
    assert_eq!(info.version.as_deref(), Some("Wazuh v4.2.1"));
    assert_eq!(
        manager.status(other.id).await,
        ConnectionStatus::NeverConnected
    );
    let (_agent, welcome) = ChannelAgent::connect(&other).await.unwrap();
    assert_eq!(welcome.agent, other.id);
    assert_eq!(manager.status(other.id).await, ConnectionStatus::Active);
    let third = manager.enroll("web03").await;
    assert_eq!(third.id.get(), 3);
    assert_eq!(third.ca_pem, other.ca_pem);
    manager.stop().await;
}

#[tokio::test]
async fn keys_and_the_registry_are_private() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let (_, _agent) = manager.agent("web01").await;
    let mode = |path: &str| {
        let metadata = fs::metadata(home.path().join(path)).unwrap();
        format!("{:o}", metadata.permissions().mode() & 0o777)
    };
    assert_eq!(mode("etc/channel"), "700");
    assert_eq!(mode("queue/channel"), "700");
    for file in ["ca.pem", "ca.key", "manager.pem", "manager.key"] {
        assert_eq!(mode(&format!("etc/channel/{file}")), "600", "{file}");
    }
    for file in fs::read_dir(home.path().join("queue/channel")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert_eq!(mode(&format!("queue/channel/{name}")), "600", "{name}");
    }
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
async fn a_revoked_agent_is_out_at_once_and_stays_out() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let enrollment = manager.enroll("web01").await;
    let (mut agent, _) = ChannelAgent::connect(&enrollment).await.unwrap();
    assert!(manager.channel.revoke(enrollment.id).await.unwrap());
    assert!(!manager.channel.revoke(enrollment.id).await.unwrap());
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    assert_eq!(manager.channel.lookup(&[enrollment.id]).await, Ok(vec![]));
    assert_eq!(
        manager.channel.request(enrollment.id, Bytes::new()).await,
        Err(TransportError::NotConnected(enrollment.id))
    );

    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    let port = manager.channel.local_addr().to_string();
    manager.stop().await;
    let listen = Settings {
        listen: port,
        ..settings()
    };
    let manager = Manager::with(home.path(), listen);
    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    assert_eq!(manager.enroll("web01").await.id.get(), 2);
    manager.stop().await;
}

#[tokio::test]
async fn agents_are_changed_while_they_are_connected() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let channel = &manager.channel;
    let one = manager.enroll("web01").await;
    let (mut agent, _) = ChannelAgent::connect(&one).await.unwrap();
    let change = async |change: AgentChange| channel.change(one.id, &change).await;
    change(AgentChange::Rename("web02".into())).await.unwrap();
    let set = Labels::from([("site".to_owned(), "lyon".to_owned())]);
    let label = AgentChange::Label {
        set: set.clone(),
        unset: vec![],
    };
    change(label).await.unwrap();
    assert_eq!(manager.info(one.id).await.name.as_deref(), Some("web02"));
    let details = channel.details(&[one.id]).await.unwrap().remove(0);
    assert_eq!(details.labels, set);
    assert_eq!(details.address.as_deref(), Some("127.0.0.1"));
    assert!(details.last_seen >= details.enrolled);
    assert!(details.certificate_end > details.enrolled);

    change(AgentChange::Revoke).await.unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    let again = change(AgentChange::Revoke).await;
    assert!(
        matches!(again, Err(DirectoryError::Refused(_))),
        "{again:?}"
    );
    let details = channel.details(&[one.id]).await.unwrap().remove(0);
    assert!(details.revoked >= details.enrolled);

    // Removed at once, and after it was revoked.
    let (two, mut agent) = manager.agent("web03").await;
    channel.change(two, &AgentChange::Remove).await.unwrap();
    let goodbye = agent.goodbye().await.unwrap().unwrap();
    assert!(goodbye.starts_with("revoked: "), "{goodbye}");
    change(AgentChange::Remove).await.unwrap();
    assert_eq!(channel.details(&[one.id, two]).await, Ok(vec![]));
    let refused = ChannelAgent::connect(&one).await.err().unwrap();
    assert!(refused.to_string().starts_with("revoked: "), "{refused}");
    assert_eq!(manager.enroll("web01").await.id.get(), 3);
    manager.stop().await;
}

#[tokio::test]
async fn a_certificate_that_the_registry_lost_is_unknown() {
    let home = tempfile::tempdir().unwrap();
    let manager = Manager::start(home.path());
    let mut enrollment = manager.enroll("web01").await;
    manager.stop().await;
    fs::remove_dir_all(home.path().join("queue")).unwrap();
    let manager = Manager::start(home.path());
    enrollment.address = Some(manager.address());
    let refused = ChannelAgent::connect(&enrollment).await.err().unwrap();
    assert!(refused.to_string().starts_with("unknown: "), "{refused}");
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
