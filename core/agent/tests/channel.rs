//! The channel, seen from a manager of this test's own: whole upgrades, lost
//! connections, managers that are none, and managers that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;

use bytes::Bytes;
use common::manager::{Ca, Link, Manager, NAME, agent_of};
use common::{DEADLINE, answer, home, installer, start_in};
use tokio::io::AsyncWriteExt;
use wpk_wire::ChannelMessage;
use wpk_wire::channel::PROTOCOL;

const LOCK: &str = "com lock_restart -1";
const UPGRADE: &str =
    r#"upgrade {"command":"upgrade","parameters":{"file":"a.wpk","installer":"upgrade.sh"}}"#;
const CLEAR: &str = r#"upgrade {"command":"clear_upgrade_result","parameters":{}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_upgrade() {
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let agent = agent_of(&manager, &ca).await;
    let (mut link, hello) = manager.accept(60).await;
    assert_eq!(
        (hello.version.as_str(), hello.protocol),
        ("v4.14.0", PROTOCOL)
    );
    assert!(!hello.platform.is_empty() && hello.arch.is_some());

    let script = "touch started; i=0; while [ ! -e go ] && [ $((i+=1)) -lt 6000 ]; do sleep 0.01; done\n\
                  ( echo v4.14.9 > VERSION; echo 0 > var/upgrade/upgrade_result ) &";
    link.deliver(&installer(script)).await;
    link.command(6, UPGRADE).await;
    link.command(7, LOCK).await;
    agent
        .until("the start of the installer", || {
            agent.path("started").exists()
        })
        .await;
    link.send(&ChannelMessage::Ping).await;
    assert_eq!(
        link.next().await,
        Some(ChannelMessage::Pong),
        "answered while an installer runs"
    );
    fs::write(agent.path("go"), "").unwrap();
    assert_eq!(link.answer(6).await, answer(0, "0"));
    assert_eq!(link.answer(7).await, "ok ", "in order");

    let told = Some(ChannelMessage::Acknowledge(Bytes::from_static(
        br#"{"command":"upgrade_update_status","parameters":{"error":0,"message":"Upgrade was successful","status":"Done"}}"#,
    )));
    assert_eq!(link.next().await, told);
    assert_eq!(link.next().await, told, "again and again");
    link.command(8, CLEAR).await;
    let last = loop {
        match link.next().await {
            again if again == told => {}
            last => break last,
        }
    };
    let cleared = ChannelMessage::Answer {
        stream: 8,
        bytes: answer(0, "ok").into(),
    };
    assert_eq!(last, Some(cleared));
    // The manager is to know the new version, so the agent dials again.
    loop {
        match link.next().await {
            Some(ChannelMessage::Goodbye { .. }) => break,
            again if again == told => {}
            other => panic!("no goodbye but {other:?}"),
        }
    }
    let (mut link, hello) = manager.accept(60).await;
    assert_eq!(hello.version, "v4.14.9");
    link.command(1, "com nonsense").await;
    // The result may be told once more: the loop that repeats it has not looked yet.
    let answered = loop {
        match link.next().await {
            again if again == told => {}
            other => break other,
        }
    };
    let nonsense = ChannelMessage::Answer {
        stream: 1,
        bytes: Bytes::from_static(b"err Unrecognized command"),
    };
    assert_eq!(answered, Some(nonsense));
    assert_eq!(
        link.ask(2, "upgrade {}").await,
        answer(2, "Command not found")
    );
}

/// The next thing that is no acknowledgement `told`, which is repeated.
async fn after(link: &mut Link, told: &str) -> Option<ChannelMessage> {
    let told = ChannelMessage::Acknowledge(Bytes::copy_from_slice(told.as_bytes()));
    loop {
        match link.next().await {
            Some(again) if again == told => {}
            other => return other,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_names_the_task_it_is_about() {
    const TOLD: &str = r#"{"command":"upgrade_update_status","parameters":{"error":0,"message":"Upgrade was successful","status":"Done","task_id":41}}"#;
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let mut agent = agent_of(&manager, &ca).await;
    let (mut link, hello) = manager.accept(60).await;
    assert!(hello.names_tasks);
    // It is on disk before the installer runs, and no `*` meets it.
    let script = "cp var/upgrade/.upgrade_task seen; rm -f var/upgrade/*\n\
                  echo 0 > var/upgrade/upgrade_result";
    link.deliver(&installer(script)).await;
    let upgrade = UPGRADE.replace("}}", r#","task_id":41}}"#);
    assert_eq!(link.ask(6, &upgrade).await, answer(0, "0"));
    let seen = fs::read_to_string(agent.path("seen")).unwrap();
    assert_eq!(seen, "41\n");
    let told = ChannelMessage::Acknowledge(Bytes::from_static(TOLD.as_bytes()));
    assert_eq!(link.next().await, Some(told.clone()));

    // Killed, it says the same.
    agent.process.kill().await.unwrap();
    let agent = start_in(agent.home, &manager.settings()).await;
    let (mut link, _) = manager.accept(60).await;
    assert_eq!(link.next().await, Some(told));
    // The late answer to a word about another upgrade clears nothing.
    let cleared = |stream| ChannelMessage::Answer {
        stream,
        bytes: answer(0, "ok").into(),
    };
    let result = agent.path("var/upgrade/upgrade_result");
    for (stream, task, stays) in [(1, 40, true), (2, 41, false)] {
        let clear = CLEAR.replace("{}", &format!(r#"{{"task_id":{task}}}"#));
        link.command(stream, clear).await;
        assert_eq!(after(&mut link, TOLD).await, Some(cleared(stream)));
        assert_eq!(result.exists(), stays, "{task}");
    }
    assert!(!agent.path("var/upgrade/.upgrade_task").exists());

    // A manager that names no task hears of none, whatever was named before.
    fs::write(agent.path("var/upgrade/.upgrade_task"), "40\n").unwrap();
    link.deliver(&installer("echo 2 > var/upgrade/upgrade_result"))
        .await;
    assert_eq!(link.ask(6, UPGRADE).await, answer(0, "0"));
    let told = loop {
        match link.next().await {
            Some(ChannelMessage::Acknowledge(told)) if told == TOLD => {}
            Some(ChannelMessage::Acknowledge(told)) => break told,
            other => panic!("no acknowledgement but {other:?}"),
        }
    };
    let bare = br#"{"command":"upgrade_update_status","parameters":{"error":2,"message":"Upgrade failed","status":"Failed"}}"#;
    assert_eq!(told, bare[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_told_survives_a_lost_connection() {
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let agent = agent_of(&manager, &ca).await;
    let (link, _) = manager.accept(60).await;
    drop(link);
    // While nobody is there, the result comes and the first acknowledgement is due.
    let link = manager.tls().await.unwrap();
    fs::write(agent.path("var/upgrade/upgrade_result"), "2\n").unwrap();
    let mut agent = agent;
    let noticed = agent
        .process
        .wait_for_line("the manager will be told", DEADLINE)
        .await;
    assert!(noticed.is_some());
    drop(link);
    let (mut link, _) = manager.accept(60).await;
    match link.next().await {
        Some(ChannelMessage::Acknowledge(message)) => {
            let message = String::from_utf8(message.to_vec()).unwrap();
            assert!(message.contains(r#""error":2,"message":"Upgrade failed","status":"Failed""#));
        }
        other => panic!("no acknowledgement but {other:?}"),
    }
    // Killed and started again, it tells again.
    agent.process.kill().await.unwrap();
    let agent = start_in(agent.home, &manager.settings()).await;
    let (mut link, _) = manager.accept(60).await;
    assert!(matches!(
        link.next().await,
        Some(ChannelMessage::Acknowledge(_))
    ));
    let blocked = answer(1, "Upgrade module is disabled or not ready yet");
    link.command(
        1,
        "upgrade {\"command\":\"sha1\",\"parameters\":{\"file\":\"f\"}}",
    )
    .await;
    loop {
        match link.next().await {
            Some(ChannelMessage::Answer { bytes, .. }) => {
                assert_eq!(bytes, blocked);
                break;
            }
            Some(ChannelMessage::Acknowledge(_)) => {}
            other => panic!("no answer but {other:?}"),
        }
    }
    drop(agent);
}

/// What was sent into a connection that broke may never have arrived; the next
/// repetition may be an hour away, and the manager has given up by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_begins_with_what_was_not_heard() {
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let home = home();
    ca.enroll(home.path());
    fs::write(home.path().join("VERSION"), "v4.14.0\n").unwrap();
    fs::write(home.path().join("var/upgrade/upgrade_result"), "0\n").unwrap();
    let rarely = "notification_wait_max = \"1h\"\nnotification_wait_factor = 100.0";
    let settings = (manager.settings())
        .replace(
            "notification_wait_start = \"30ms\"",
            "notification_wait_start = \"1s\"",
        )
        .replace("notification_wait_max = \"100ms\"", rarely);
    let agent = start_in(home, &settings).await;
    for _ in 0..2 {
        let (mut link, _) = manager.accept(60).await;
        let message = link.next().await;
        assert!(
            matches!(message, Some(ChannelMessage::Acknowledge(_))),
            "{message:?}"
        );
    }
    let (mut link, _) = manager.accept(60).await;
    let message = link.next().await;
    assert!(matches!(message, Some(ChannelMessage::Acknowledge(_))));
    assert_eq!(link.ask(1, CLEAR).await, answer(0, "ok"));
    drop(link);
    // Cleared: nothing is left to be told.
    let (mut link, _) = manager.accept(60).await;
    let lock = "com lock_restart -1";
    assert_eq!(link.ask(2, lock).await, "ok ");
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_of_another_ca_or_name_hears_nothing() {
    let (ca, other) = (Ca::new(), Ca::new());
    for (issuer, name) in [(&other, NAME), (&ca, "someone.else"), (&ca, "127.0.0.1")] {
        let manager = Manager::new(issuer, name, &ca).await;
        let mut agent = agent_of(&manager, &ca).await;
        // The handshake fails on the agent's side, before it has said anything.
        let refused = manager
            .tls()
            .await
            .err()
            .expect("the agent trusts a stranger");
        assert!(refused.to_string().contains("fatal alert"), "{refused}");
        let logged = agent
            .process
            .wait_for_line("dialling again", DEADLINE)
            .await
            .unwrap();
        assert!(logged.contains("TLS"), "{logged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_manager_is_given_up() {
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let _agent = agent_of(&manager, &ca).await;
    let (mut silent, _) = manager.accept(1).await;
    let mut pings = 0;
    let last = loop {
        match silent.next().await {
            Some(ChannelMessage::Ping) => pings += 1,
            last => break last,
        }
    };
    assert!(
        (1..=2).contains(&pings),
        "{pings} pings in three keep-alives"
    );
    assert!(
        matches!(last, Some(ChannelMessage::Goodbye { .. })),
        "{last:?}"
    );
    let (mut link, _) = manager.accept(60).await;
    assert_eq!(link.ask(1, LOCK).await, "ok ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_misbehaves_is_left() {
    let ca = Ca::new();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let agent = agent_of(&manager, &ca).await;
    let junk: [&[u8]; 4] = [
        b"\xff\xff\xff\xff",
        b"\x01\0\0\0\x09",
        b"\x05\0\0\0\x03\0\0\0\0",
        b"\x05\0\0\0\x01\0\0\0\0",
    ];
    for bytes in junk {
        let (mut link, _) = manager.accept(60).await;
        link.stream.write_all(bytes).await.unwrap();
        link.stream.flush().await.unwrap();
        match link.next().await {
            Some(ChannelMessage::Goodbye { reason }) => {
                assert!(reason.starts_with("protocol"), "{reason}");
            }
            other => panic!("no goodbye to {bytes:?} but {other:?}"),
        }
    }
    // Half a message, then nothing: no answer, no crash.
    let (mut link, _) = manager.accept(60).await;
    link.stream.write_all(b"\x20\0\0\0\x03\0\0").await.unwrap();
    drop(link);
    let (mut link, _) = manager.accept(60).await;
    assert_eq!(link.ask(1, LOCK).await, "ok ");

    // A manager that stops asks for patience, not for repairs.
    link.send(&ChannelMessage::Goodbye {
        reason: "stopping: for a while".to_owned(),
    })
    .await;
    let (mut link, _) = manager.accept(60).await;
    assert_eq!(link.ask(1, LOCK).await, "ok ");
    agent
        .process
        .signal(wpk_testkit::process::Signal::TERM)
        .unwrap();
    match link.next().await {
        Some(ChannelMessage::Goodbye { reason }) => {
            assert!(reason.contains("stopping"), "{reason}")
        }
        other => panic!("no goodbye but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_it_dials_all_the_same() {
    let (ca, home) = (Ca::new(), home());
    ca.enroll(home.path());
    let manager = Manager::new(&ca, NAME, &ca).await;
    let agent = start_in(home, &manager.settings()).await;
    let (link, hello) = manager.accept(60).await;
    assert_eq!(hello.version, "");
    fs::write(agent.path("VERSION"), "v4.14.0\n").unwrap();
    drop(link);
    let (link, hello) = manager.accept(60).await;
    assert_eq!(hello.version, "v4.14.0");
    fs::write(agent.path("VERSION"), "").unwrap();
    drop(link);
    let (_link, hello) = manager.accept(60).await;
    assert_eq!(hello.version, "v4.14.0", "the last known");
    let said = agent.process.output();
    assert!(said.contains("cannot be told"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_welcomes_and_ends_is_dialled_ever_more_rarely() {
    let (ca, home) = (Ca::new(), home());
    ca.enroll(home.path());
    fs::write(home.path().join("VERSION"), "v4.14.0\n").unwrap();
    let manager = Manager::new(&ca, NAME, &ca).await;
    let settings = manager.settings().replace("\"200ms\"", "\"10s\"");
    let agent = start_in(home, &settings).await;
    for _ in 0..6 {
        drop(manager.accept(60).await);
    }
    let said = agent.process.output();
    let pauses: Vec<f64> = said
        .lines()
        .filter_map(|line| line.split_once("dialling again in ")?.1.split_once("ms"))
        .filter_map(|(pause, _)| pause.parse().ok())
        .collect();
    // The shortest that the fifth may have: a quarter of 320 ms.
    assert!(pauses.iter().any(|pause| *pause >= 80.0), "{pauses:?}");
}
