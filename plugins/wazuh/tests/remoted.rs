//! The transport against the fake remote daemon and against hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::{Instant, timeout};
use wpk_api::{AgentId, Factory, Transport, TransportError};
use wpk_plugin_wazuh::remoted;
use wpk_testkit::{FakeRemoted, Home};

const DEADLINE: Duration = Duration::from_secs(20);

fn id(id: i64) -> AgentId {
    AgentId::new(id).unwrap()
}

fn transport(home: &Home, settings: &Value) -> Arc<dyn Transport> {
    remoted().build(settings, &home.context()).unwrap()
}

fn start() -> (Home, FakeRemoted, Arc<dyn Transport>) {
    let home = Home::new().unwrap();
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    let transport = transport(&home, &json!({}));
    (home, remoted, transport)
}

#[tokio::test]
async fn commands_go_out_with_the_padded_id_and_answers_come_back() {
    let (_home, remoted, transport) = start();
    for (agent, frame) in [
        (7, "007 com lock_restart -1"),
        (42, "042 com lock_restart -1"),
        (1000, "1000 com lock_restart -1"),
        (2_147_483_647, "2147483647 com lock_restart -1"),
    ] {
        let answer = transport
            .request(id(agent), "com lock_restart -1".into())
            .await;
        assert_eq!(answer.unwrap(), "ok ");
        assert_eq!(remoted.frames().last().unwrap().bytes, frame);
    }
    assert_eq!(remoted.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_passes_unchanged_in_both_forms() {
    let (_home, remoted, transport) = start();
    let content: Vec<u8> = (0..60_000u32).map(|i| i as u8).collect();
    let digest = {
        use sha1::{Digest, Sha1};
        let digest = Sha1::digest(&content);
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };

    let mut write = format!("com write {} f.wpk ", content.len()).into_bytes();
    write.extend_from_slice(&content);
    for command in [
        b"com open wb f.wpk".to_vec(),
        write,
        b"com close f.wpk".to_vec(),
    ] {
        let answer = transport.request(id(1), command.into()).await;
        assert_eq!(answer.unwrap(), "ok ");
    }
    let answer = transport.request(id(1), "com sha1 f.wpk".into()).await;
    assert_eq!(answer.unwrap(), format!("ok {digest}"));
    assert_eq!(remoted.received(1).unwrap(), content);
    let answer = transport
        .request(id(1), "com upgrade f.wpk upgrade.sh".into())
        .await;
    assert_eq!(answer.unwrap(), "ok 0");

    let half = &content[..30_000];
    let buffer = base64(half);
    for command in [
        r#"{"command":"open","parameters":{"mode":"wb","file":"f"}}"#.to_owned(),
        format!(
            r#"{{"command":"write","parameters":{{"buffer":"{buffer}","length":30000,"file":"f"}}}}"#
        ),
        r#"{"command":"close","parameters":{"file":"f"}}"#.to_owned(),
    ] {
        let answer = transport
            .request(id(2), format!("upgrade {command}").into())
            .await;
        assert_eq!(answer.unwrap(), r#"{"error":0,"message":"ok","data":[]}"#);
    }
    assert_eq!(remoted.received(2).unwrap(), half);
    assert_eq!(remoted.steps(2), ["open", "write", "close"]);
    assert_eq!(remoted.violations(), Vec::<String>::new());
}

/// Written out here, so that the fake is checked by other means than its own.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(bytes.len() % 3, 0);
    let group = |b: &[u8]| {
        let n = u32::from(b[0]) << 16 | u32::from(b[1]) << 8 | u32::from(b[2]);
        [18, 12, 6, 0].map(|shift| DIGITS[(n >> shift & 63) as usize] as char)
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[tokio::test]
async fn the_daemons_errors_are_told_from_answers() {
    let (_home, remoted, transport) = start();
    let refused = |reason: &str| {
        Err(TransportError::Refused {
            agent: id(1),
            reason: reason.to_owned(),
        })
    };
    let cases = [
        (
            "err Cannot send request",
            refused("err Cannot send request"),
        ),
        (
            "err Maximum attempts exceeded",
            refused("err Maximum attempts exceeded"),
        ),
        ("err Internal error", refused("err Internal error")),
        ("err Response timeout", Err(TransportError::TimedOut(id(1)))),
        // An agent's own words, odd as they may be.
        ("err Could not open", Ok(Bytes::from("err Could not open"))),
        ("err", Ok(Bytes::from("err"))),
        ("", Ok(Bytes::new())),
        ("garbage", Ok(Bytes::from("garbage"))),
    ];
    for (answer, wanted) in cases {
        remoted.set_rules(&format!("1 open {answer}")).unwrap();
        let got = transport.request(id(1), "com open wb f".into()).await;
        assert_eq!(got, wanted, "{answer:?}");
    }
    remoted.set_rules("1 open @close").unwrap();
    let got = transport.request(id(1), "com open wb f".into()).await;
    assert!(matches!(got, Err(TransportError::Closed { .. })), "{got:?}");
}

#[tokio::test]
async fn a_missing_daemon_is_told_at_once_and_may_come_later() {
    let home = Home::new().unwrap();
    let transport = transport(&home, &json!({}));
    let got = transport.request(id(1), "com lock_restart -1".into()).await;
    let Err(TransportError::Unavailable(reason)) = got else {
        panic!("{got:?}");
    };
    assert!(reason.contains("queue/sockets/remote"), "{reason}");
    let _remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    let got = transport.request(id(1), "com lock_restart -1".into()).await;
    assert_eq!(got.unwrap(), "ok ");
}

#[tokio::test]
async fn the_longest_command_fits_and_a_longer_one_is_not_sent() {
    let (_home, remoted, transport) = start();
    for (agent, address) in [(1, 4), (2_147_483_647, 11)] {
        let longest = 65_536 - address;
        assert!(longest >= transport.max_command());
        let command = vec![b'x'; longest];
        let got = transport.request(id(agent), command.into()).await;
        assert!(matches!(got, Err(TransportError::Refused { .. })));
        let got = transport
            .request(id(agent), vec![b'x'; longest + 1].into())
            .await;
        let Err(TransportError::Refused { reason, .. }) = got else {
            panic!("{got:?}");
        };
        assert!(reason.contains("chunk_size"), "{reason}");
    }
    // Both that fitted did arrive, as something the agent does not understand.
    assert_eq!(remoted.violations().len(), 2);
}

#[tokio::test]
async fn connections_are_limited_and_others_wait() {
    let home = Home::new().unwrap();
    let remoted = FakeRemoted::start(home.remote_socket()).unwrap();
    remoted.set_latency(Duration::from_millis(5));
    let transport = transport(&home, &json!({"max_connections": 7}));
    let requests = (1..=100).map(|agent| {
        let transport = Arc::clone(&transport);
        async move {
            transport
                .request(id(agent), "com lock_restart -1".into())
                .await
        }
    });
    let answers = timeout(DEADLINE, join_all(requests)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    assert!(
        remoted.most_in_flight() <= 7,
        "{}",
        remoted.most_in_flight()
    );
    assert!(remoted.most_in_flight() > 1);
}

/// A daemon that answers every connection with these bytes, then closes or not.
async fn hostile(home: &Home, bytes: &'static [u8], close: bool) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(home.remote_socket()).unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(bytes).await;
            if !close {
                kept.push(stream);
            }
        }
    })
}

#[tokio::test]
async fn hostile_answers_end_in_errors() {
    let cases: [(&str, &[u8], bool); 6] = [
        ("half a length", &[1, 0], true),
        ("half a frame", &[9, 0, 0, 0, b'o', b'k'], true),
        ("one byte over the limit", &[1, 0, 1, 0], false),
        ("four gigabytes", &[255, 255, 255, 255, 0, 0], false),
        ("no frame at all", b"HTTP/1.1 200 OK\r\n\r\n", false),
        ("nothing", b"", true),
    ];
    for (name, bytes, close) in cases {
        let home = Home::new().unwrap();
        let daemon = hostile(&home, bytes, close).await;
        let transport = transport(&home, &json!({}));
        let got = timeout(DEADLINE, transport.request(id(1), "com close f".into())).await;
        let got = got.expect(name);
        assert!(
            matches!(got, Err(TransportError::Closed { .. })),
            "{name}: {got:?}"
        );
        daemon.abort();
    }
}

#[tokio::test]
async fn silence_and_half_answers_time_out() {
    for bytes in [&b""[..], &[9, 0, 0, 0, b'o']] {
        let home = Home::new().unwrap();
        let daemon = hostile(&home, bytes, false).await;
        let transport = transport(&home, &json!({"timeout": "200ms"}));
        let since = Instant::now();
        let got = timeout(DEADLINE, transport.request(id(3), "com close f".into())).await;
        assert_eq!(got.unwrap(), Err(TransportError::TimedOut(id(3))));
        assert!(since.elapsed() >= Duration::from_millis(200));
        daemon.abort();
    }
}

#[tokio::test]
async fn a_full_queue_of_the_daemon_is_waited_for() {
    let home = Home::new().unwrap();
    // A queue of one connection, and nobody who accepts yet.
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&socket2::SockAddr::unix(home.remote_socket()).unwrap())
        .unwrap();
    socket.listen(0).unwrap();
    let transport = transport(&home, &json!({}));
    let requests: Vec<_> = (1..=5)
        .map(|agent| {
            let transport = Arc::clone(&transport);
            tokio::spawn(async move { transport.request(id(agent), "com close f".into()).await })
        })
        .collect();
    socket.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()).unwrap();
    let daemon = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"\x03\0\0\0ok ").await;
        }
    });
    for request in requests {
        let answer = timeout(DEADLINE, request).await.unwrap().unwrap();
        assert_eq!(answer.unwrap(), "ok ");
    }
    daemon.abort();
}
