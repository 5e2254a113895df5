//! The directory against the fake database daemon and against hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::timeout;
use wpk_api::{AgentDirectory, AgentId, ConnectionStatus, DirectoryError, Factory};
use wpk_plugin_wazuh::wazuh_db;
use wpk_testkit::wdb::agent_row;
use wpk_testkit::{FakeWazuhDb, Home};

const DEADLINE: Duration = Duration::from_secs(30);

fn ids(ids: impl IntoIterator<Item = i64>) -> Vec<AgentId> {
    ids.into_iter()
        .map(|id| AgentId::new(id).unwrap())
        .collect()
}

fn directory(home: &Home, settings: &Value) -> Arc<dyn AgentDirectory> {
    wazuh_db().build(settings, &home.context()).unwrap()
}

fn start() -> (Home, FakeWazuhDb, Arc<dyn AgentDirectory>) {
    let home = Home::new().unwrap();
    let db = FakeWazuhDb::start(home.wdb_socket()).unwrap();
    let directory = directory(&home, &json!({}));
    (home, db, directory)
}

#[tokio::test]
async fn agents_are_found_and_unknown_ones_left_out() {
    let (_home, db, directory) = start();
    db.set_agent(agent_row(1, "Wazuh v4.7.0"));
    db.set_agent(agent_row(3, "Wazuh v4.8.0"));
    db.set_column(3, "connection_status", json!("never_connected"));
    let mut found = directory.lookup(&ids([1, 2, 3])).await.unwrap();
    found.sort_by_key(|agent| agent.id);
    let [first, third] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(first.platform.name.as_deref(), Some("ubuntu"));
    assert_eq!(first.platform.minor.as_deref(), Some("04"));
    assert_eq!(first.version.as_deref(), Some("Wazuh v4.7.0"));
    assert_eq!(first.connection, ConnectionStatus::Active);
    assert_eq!(first.group.as_deref(), Some("default"));
    assert_eq!(first.node.as_deref(), Some("node01"));
    assert_eq!(third.connection, ConnectionStatus::NeverConnected);
    assert_eq!(
        db.requests(),
        [1, 2, 3].map(|id| format!("global get-agent-info {id}"))
    );
    assert!(directory.lookup(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn ten_thousand_agents_are_asked_for_over_few_kept_connections() {
    let (_home, db, directory) = start();
    db.set_agents((1..=10_000).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let asked = ids(1..=10_000);
    let found = timeout(DEADLINE, directory.lookup(&asked)).await.unwrap();
    let mut found: Vec<_> = found.unwrap().into_iter().map(|agent| agent.id).collect();
    found.sort();
    assert_eq!(found, asked);
    assert!((2..=8).contains(&db.connections()), "{}", db.connections());
    let before = db.connections();
    directory.lookup(&asked[..5]).await.unwrap();
    assert_eq!(db.connections(), before, "connections are kept");
    assert_eq!(db.requests().len(), 10_005);
}

#[tokio::test]
async fn a_long_question_does_not_keep_a_short_one_waiting() {
    let home = Home::new().unwrap();
    let db = FakeWazuhDb::start(home.wdb_socket()).unwrap();
    db.set_latency(Duration::from_millis(1));
    db.set_agents((1..=500).map(|id| agent_row(id, "Wazuh v4.7.0")));
    let directory = directory(&home, &json!({"connections": 1}));
    let long = {
        let directory = Arc::clone(&directory);
        tokio::spawn(async move { directory.lookup(&ids(1..=500)).await })
    };
    // The long one is under way.
    let begun = wpk_testkit::wait_until(DEADLINE, || async {
        (!db.requests().is_empty()).then_some(())
    });
    begun.await.unwrap();
    let found = timeout(DEADLINE, directory.lookup(&ids([7])))
        .await
        .unwrap();
    assert_eq!(found.unwrap().len(), 1);
    assert!(
        !long.is_finished(),
        "the short question waited for the long one"
    );
    assert_eq!(long.await.unwrap().unwrap().len(), 500);
}

#[tokio::test]
async fn unreadable_records_refuse_only_their_agent() {
    let (_home, db, directory) = start();
    let bad: [&[u8]; 10] = [
        b"err Agent 001 not found",
        b"err",
        b"ok []",
        b"ok {}",
        b"ok xx",
        b"ok",
        b"",
        b"due [{\"id\":7}]",
        b"ok [{\"id\":8,\"version\":\"v",
        b"\xff\xfe",
    ];
    for (id, reply) in (1..).zip(bad) {
        db.set_reply(id, reply);
    }
    db.set_reply(11, "ok [{\"id\":999}]");
    db.set_agent(agent_row(12, "Wazuh v4.7.0"));
    let found = directory.lookup(&ids(1..=12)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.get(), 12);
}

#[tokio::test]
async fn recorded_answers_are_read_as_recorded() {
    let (_home, db, directory) = start();
    let upper = br#"ok [{"ID":1,"OS_PLATFORM":"ubuntu","OS_MAJOR":"22","OS_MINOR":"04",
        "OS_ARCH":"x86_64","VERSION":"Wazuh v4.14.9","CONNECTION_STATUS":"active"}]"#;
    db.set_reply_to_all(Some(upper));
    let found = directory.lookup(&ids([1])).await.unwrap();
    assert_eq!(found[0].version.as_deref(), Some("Wazuh v4.14.9"));
    for reply in [
        &b"err Agent 001 not found"[..],
        b"ok []",
        b"ok {}",
        b"ok xx",
    ] {
        db.set_reply_to_all(Some(reply));
        assert!(directory.lookup(&ids([1])).await.unwrap().is_empty());
    }
    db.set_reply_to_all(Some(
        br#"ok [{"os_major":22,"os_minor":4.5,"version":null}]"#,
    ));
    let found = directory.lookup(&ids([1])).await.unwrap();
    assert_eq!(found[0].platform.major.as_deref(), Some("22"));
    assert_eq!(found[0].platform.minor.as_deref(), Some("4.5"));
    assert_eq!(found[0].version, None);
    assert_eq!(found[0].connection, ConnectionStatus::Unknown);
}

#[tokio::test]
async fn a_missing_database_is_told_at_once() {
    let home = Home::new().unwrap();
    let directory = directory(&home, &json!({}));
    for result in [
        directory.lookup(&ids(1..=500)).await.map(|_| ()),
        directory.list(None, 10).await.map(|_| ()),
    ] {
        let Err(DirectoryError::Unavailable(reason)) = result else {
            panic!("{result:?}");
        };
        assert!(reason.contains("queue/db/wdb"), "{reason}");
    }
    assert!(matches!(
        directory.enroll("x").await,
        Err(DirectoryError::NotSupported)
    ));
}

#[tokio::test]
async fn broken_kept_connections_are_replaced_unnoticed() {
    let (home, db, directory) = start();
    db.set_agents((1..=300).map(|id| agent_row(id, "Wazuh v4.7.0")));
    for _ in 0..3 {
        assert_eq!(directory.lookup(&ids(1..=300)).await.unwrap().len(), 300);
        db.hang_up();
    }
    // Also over a restart of the daemon.
    drop(db);
    let down = directory.lookup(&ids([1])).await;
    assert!(
        matches!(down, Err(DirectoryError::Unavailable(_))),
        "{down:?}"
    );
    let db = FakeWazuhDb::start(home.wdb_socket()).unwrap();
    db.set_agent(agent_row(1, "Wazuh v4.7.0"));
    assert_eq!(directory.lookup(&ids([1])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn agents_are_listed_in_pages() {
    let (_home, db, directory) = start();
    db.set_agents((0..=25).map(|id| agent_row(id, "Wazuh v4.7.0")));
    for page_of_daemon in [1, 3, 10, 1000] {
        db.set_page(page_of_daemon);
        for limit in [1, 4, 10, 25, 26, 100] {
            let mut after = None;
            let mut listed = Vec::new();
            loop {
                let page = directory.list(after, limit).await.unwrap();
                assert!(page.agents.len() <= limit);
                after = page.agents.last().map(|agent| agent.id);
                listed.extend(
                    page.agents
                        .into_iter()
                        .map(|agent| i64::from(agent.id.get())),
                );
                if !page.more {
                    break;
                }
            }
            let all: Vec<i64> = (1..=25).collect();
            assert_eq!(listed, all, "pages of {page_of_daemon}, limit {limit}");
        }
    }
    // A page of which nobody can be read does not end the list.
    for id in 1..=10 {
        db.set_reply(id, "err");
    }
    let page = directory.list(None, 4).await.unwrap();
    assert_eq!(page.agents.len(), 2);
    assert!(page.more);
}

#[tokio::test]
async fn a_list_that_makes_no_sense_ends() {
    let (_home, db, directory) = start();
    let replies: [&[u8]; 6] = [
        b"err no",
        b"due [{\"id\":5},{\"id\":4}]",
        b"due [{\"id\":-3}]",
        b"due [{\"id\":99999999999}]",
        b"ok {}",
        b"",
    ];
    for reply in replies {
        db.set_reply_to_all(Some(reply));
        let got = timeout(DEADLINE, directory.list(None, 100)).await.unwrap();
        assert!(matches!(got, Err(DirectoryError::Malformed(_))), "{got:?}");
    }
    db.set_reply_to_all(Some(b"due []"));
    let page = timeout(DEADLINE, directory.list(None, 100)).await.unwrap();
    assert!(page.unwrap().agents.is_empty());
}

/// A daemon that answers every request with these bytes as they are.
fn hostile(home: &Home, bytes: &'static [u8], close: bool) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(home.wdb_socket()).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(bytes).await;
                    if close {
                        return;
                    }
                }
            });
        }
    })
}

#[tokio::test]
async fn hostile_daemons_are_survived() {
    let cases: [(&str, &[u8], bool, bool); 6] = [
        ("closes", b"", true, false),
        (
            "half a frame, then closes",
            &[9, 0, 0, 0, b'o'],
            true,
            false,
        ),
        (
            "half a frame, then silence",
            &[9, 0, 0, 0, b'o'],
            false,
            false,
        ),
        ("silence", b"", false, false),
        // Only this answer is lost, as with any other unreadable record.
        ("announces too much", &[1, 0, 1, 0, b'o', b'k'], false, true),
        ("no frames", b"GET / HTTP/1.1\r\n", false, true),
    ];
    for (name, bytes, close, left_out) in cases {
        let home = Home::new().unwrap();
        let daemon = hostile(&home, bytes, close);
        let directory = directory(&home, &json!({"timeout": "300ms"}));
        let got = timeout(DEADLINE, directory.lookup(&ids(1..=100))).await;
        let got = got.expect(name);
        if left_out {
            assert_eq!(got.as_deref(), Ok(&[][..]), "{name}");
        } else {
            assert!(
                matches!(got, Err(DirectoryError::Unavailable(_))),
                "{name}: {got:?}"
            );
        }
        daemon.abort();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_never_taken_for_another() {
    let home = Home::new().unwrap();
    // Two answers to one request: the second must not answer the next question.
    let daemon = hostile(
        &home,
        b"\x0d\0\0\0ok [{\"id\":1}]\x0d\0\0\0ok [{\"id\":1}]",
        false,
    );
    let directory = directory(&home, &json!({"connections": 1}));
    for _ in 0..3 {
        let found = directory.lookup(&ids([1])).await.unwrap();
        assert_eq!(found.len(), 1);
        let other = directory.lookup(&ids([2])).await.unwrap();
        assert!(other.is_empty(), "{other:?}");
    }
    daemon.abort();
}
