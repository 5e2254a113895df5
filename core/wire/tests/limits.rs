//! What is just allowed, and what is just too much: frames, channel messages,
//! chunks, names and texts.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::Bytes;
use wpk_api::AgentId;
use wpk_wire::agent::request::MAX_FILE_NAME;
use wpk_wire::channel::{EnrollToken, MAX_PAYLOAD, PROTOCOL};
use wpk_wire::frame::{self, FrameDecoder, FrameError};
use wpk_wire::task::request::MAX_TEXT;
use wpk_wire::{
    AgentCode, AgentRequest, ChannelError, ChannelMessage, Hello, PEER_MAX_PAYLOAD, TaskCode,
    TaskRequest, Welcome,
};

/// Bytes of kind and stream id in front of a channel body.
const PREFIX: usize = 5;
/// The longest body of a channel message that is no command or answer, in bytes.
const LONGEST_JSON: usize = 16_384;
/// The longest text in a greeting, in bytes.
const LONGEST_TEXT: usize = 256;

#[test]
fn the_limits_are_those_of_the_protocol() {
    assert_eq!(PEER_MAX_PAYLOAD, 65_536);
    assert_eq!(frame::DEFAULT_MAX_PAYLOAD, 16_777_216);
    assert_eq!(MAX_PAYLOAD, 131_072);
}

#[test]
fn a_length_is_little_endian_and_never_wraps() {
    assert_eq!(&frame::frame(b"abc")[..], b"\x03\0\0\0abc");
    assert_eq!(frame::header(0x0102_0304), [4, 3, 2, 1]);
    let largest = usize::try_from(u32::MAX).unwrap();
    for length in [largest, largest.saturating_add(1), usize::MAX] {
        assert_eq!(frame::header(length), [0xff; 4], "{length}");
    }
}

#[test]
fn the_decoder_takes_what_is_just_allowed_and_leaves_what_follows() {
    let mut decoder = FrameDecoder::new(4);
    for payload in [&b"four"[..], b"", b"abc", b"fives"] {
        decoder.push(&frame::frame(payload));
    }
    assert_eq!(decoder.next_frame().unwrap().unwrap(), "four");
    assert_eq!(decoder.next_frame().unwrap().unwrap(), "");
    assert_eq!(decoder.next_frame().unwrap().unwrap(), "abc");
    let (declared, limit) = (5, 4);
    assert_eq!(
        decoder.next_frame(),
        Err(FrameError::TooLong { declared, limit })
    );
    assert!(!decoder.is_empty());
    // No frame but an empty one passes a limit of nothing.
    let mut decoder = FrameDecoder::new(0);
    decoder.push(&[0, 0, 0, 0, 1]);
    assert_eq!(decoder.next_frame().unwrap().unwrap(), "");
    decoder.push(&[0, 0, 0]);
    assert!(decoder.next_frame().is_err());
}

/// The payload of a channel message.
fn payload(kind: u8, stream: u32, body: &[u8]) -> Bytes {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(body);
    Bytes::from(bytes)
}

fn decode(kind: u8, stream: u32, body: &[u8]) -> Result<ChannelMessage, ChannelError> {
    ChannelMessage::decode(&payload(kind, stream, body))
}

/// Every message with a body of that length: its kind and stream, where it has
/// one whose length is free.
fn with_body(length: usize) -> [(u8, u32, ChannelMessage); 3] {
    let bytes = Bytes::from(vec![b'x'; length]);
    let (stream, same) = (9, bytes.clone());
    [
        (3, 9, ChannelMessage::Command { stream, bytes }),
        (
            4,
            9,
            ChannelMessage::Answer {
                stream,
                bytes: same.clone(),
            },
        ),
        (5, 0, ChannelMessage::Acknowledge(same)),
    ]
}

#[test]
fn bodies_have_the_same_limit_in_both_directions() {
    for (kind, stream, longest) in [
        (3, 9, MAX_PAYLOAD - PREFIX),
        (4, 9, MAX_PAYLOAD - PREFIX),
        (5, 0, LONGEST_JSON),
    ] {
        for (length, good) in [(0, true), (longest, true), (longest + 1, false)] {
            let message = with_body(length)
                .into_iter()
                .find(|(found, ..)| *found == kind)
                .unwrap()
                .2;
            let body = vec![b'x'; length];
            if good {
                let framed = message.encode().unwrap();
                assert_eq!(framed, frame::frame(&payload(kind, stream, &body)));
                assert_eq!(decode(kind, stream, &body).unwrap(), message);
                continue;
            }
            let refused = |error: ChannelError| match error {
                ChannelError::TooLong {
                    kind,
                    length,
                    limit,
                } => (kind, length, limit),
                other => panic!("{other}"),
            };
            let expected = (message.name(), length, longest);
            assert_eq!(refused(message.encode().unwrap_err()), expected);
            assert_eq!(refused(decode(kind, stream, &body).unwrap_err()), expected);
        }
    }
    for kind in [6, 7] {
        assert!(decode(kind, 0, b"").is_ok());
        assert!(matches!(
            decode(kind, 0, b"x"),
            Err(ChannelError::TooLong { limit: 0, .. })
        ));
    }
    // Greetings and goodbyes may not be padded beyond the limit either.
    let goodbye = br#"{"reason":"r"}"#;
    let padded = |length: usize| {
        let mut body = goodbye.to_vec();
        body.resize(length, b' ');
        decode(8, 0, &body)
    };
    assert!(padded(LONGEST_JSON).is_ok());
    assert!(matches!(
        padded(LONGEST_JSON + 1),
        Err(ChannelError::TooLong {
            kind: "goodbye",
            ..
        })
    ));
}

#[test]
fn kinds_and_streams_belong_together() {
    let names = [
        "hello",
        "welcome",
        "command",
        "answer",
        "acknowledge",
        "ping",
        "pong",
        "goodbye",
        "enroll",
        "enrolled",
        "renew",
        "renewed",
        "authorities",
        "trusts",
    ];
    let token = EnrollToken {
        id: [1; 8],
        secret: [2; 32],
        ca: [3; 32],
    };
    let enroll = format!(r#"{{"protocol":1,"token":"{token}","name":"n","csr":"c"}}"#);
    for (kind, name) in (1..).zip(names) {
        let has_stream = matches!(kind, 3 | 4);
        let body: &[u8] = match kind {
            1 => br#"{"protocol":1,"platform":"p","version":"v1.0.0"}"#,
            2 => br#"{"protocol":1,"agent":1,"name":"n","keepalive_seconds":1}"#,
            8 => br#"{"reason":"r"}"#,
            9 => enroll.as_bytes(),
            10 => br#"{"protocol":1,"agent":1,"name":"n","certificate":"c","ca":"c"}"#,
            11 => br#"{"protocol":1,"csr":"c"}"#,
            12 => br#"{"protocol":1,"certificate":"c"}"#,
            13 => br#"{"ca":"c"}"#,
            14 => br#"{"trusts":[]}"#,
            _ => b"",
        };
        let message = decode(kind, u32::from(has_stream), body).unwrap();
        assert_eq!(message.name(), name);
        assert_eq!(message.encode().unwrap()[4], kind);
        match decode(kind, u32::from(!has_stream), body) {
            Err(ChannelError::Stream {
                kind: found,
                stream,
            }) => {
                assert_eq!((found, stream), (kind, u32::from(!has_stream)));
            }
            other => panic!("{other:?}"),
        }
    }
    for kind in [0, 15, 255] {
        assert!(matches!(decode(kind, 0, b""), Err(ChannelError::Kind(found)) if found == kind));
    }
    for length in 0..PREFIX {
        let short = Bytes::from(vec![6; length]);
        assert!(
            matches!(ChannelMessage::decode(&short), Err(ChannelError::Short(n)) if n == length)
        );
    }
    for message in [
        ChannelMessage::Command {
            stream: 0,
            bytes: Bytes::new(),
        },
        ChannelMessage::Answer {
            stream: 0,
            bytes: Bytes::new(),
        },
    ] {
        assert!(matches!(
            message.encode(),
            Err(ChannelError::Stream { stream: 0, .. })
        ));
    }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        platform: "ubuntu".into(),
        version: "v4.14.0".into(),
        ..Hello::default()
    }
}

fn welcome() -> Welcome {
    Welcome {
        protocol: PROTOCOL,
        agent: AgentId::new(7).unwrap(),
        name: "web".into(),
        keepalive_seconds: 1,
        certificate_seconds: None,
    }
}

fn sent(message: ChannelMessage) -> Result<ChannelMessage, ChannelError> {
    let framed = message.encode().unwrap();
    ChannelMessage::decode(&framed.slice(frame::HEADER_LEN..))
}

/// Puts a text into one member of a greeting.
type Put = fn(String) -> ChannelMessage;

#[test]
fn every_text_of_a_greeting_is_looked_at() {
    let members: [(&str, Put); 7] = [
        ("platform", |platform| {
            ChannelMessage::Hello(Hello {
                platform,
                ..hello()
            })
        }),
        ("version", |version| {
            ChannelMessage::Hello(Hello { version, ..hello() })
        }),
        ("os_version", |text| {
            let os_version = Some(text);
            ChannelMessage::Hello(Hello {
                os_version,
                ..hello()
            })
        }),
        ("os_major", |text| {
            let os_major = Some(text);
            ChannelMessage::Hello(Hello {
                os_major,
                ..hello()
            })
        }),
        ("os_minor", |text| {
            let os_minor = Some(text);
            ChannelMessage::Hello(Hello {
                os_minor,
                ..hello()
            })
        }),
        ("arch", |text| {
            let arch = Some(text);
            ChannelMessage::Hello(Hello { arch, ..hello() })
        }),
        ("name", |name| {
            ChannelMessage::Welcome(Welcome { name, ..welcome() })
        }),
    ];
    for (member, put) in members {
        let longest = put("x".repeat(LONGEST_TEXT));
        assert_eq!(sent(longest.clone()).unwrap(), longest, "{member}");
        for bad in ["x".repeat(LONGEST_TEXT + 1), "a\u{7}b".to_owned()] {
            let error = sent(put(bad)).unwrap_err().to_string();
            assert!(error.contains(&format!("`{member}`")), "{member}: {error}");
        }
    }
}

#[test]
fn greetings_that_make_no_sense_are_refused() {
    let other = PROTOCOL + 1;
    let cases = [
        ChannelMessage::Hello(Hello {
            protocol: other,
            ..hello()
        }),
        ChannelMessage::Welcome(Welcome {
            protocol: other,
            ..welcome()
        }),
    ];
    for message in cases {
        assert!(matches!(sent(message), Err(ChannelError::Protocol(found)) if found == other));
    }
    let silent = Welcome {
        keepalive_seconds: 0,
        ..welcome()
    };
    let error = sent(ChannelMessage::Welcome(silent)).unwrap_err();
    assert!(
        error.to_string().contains("keepalive_seconds is 0"),
        "{error}"
    );
    // The id is an agent's, or it is no welcome.
    for (id, good) in [
        ("0", true),
        ("2147483647", true),
        ("2147483648", false),
        ("-1", false),
    ] {
        let body = format!(r#"{{"protocol":1,"agent":{id},"name":"n","keepalive_seconds":1}}"#);
        assert_eq!(decode(2, 0, body.as_bytes()).is_ok(), good, "{id}");
    }
}

#[test]
fn a_reason_is_one_short_line_whoever_wrote_it() {
    let long = format!("a\nb{}", "é".repeat(400));
    let expected = format!("ab{}", "é".repeat(LONGEST_TEXT - 2));
    let reason = long.clone();
    let said = sent(ChannelMessage::Goodbye { reason }).unwrap();
    let reason = expected.clone();
    assert_eq!(said, ChannelMessage::Goodbye { reason });
    let body = serde_json::json!({"reason": long}).to_string();
    let heard = decode(8, 0, body.as_bytes()).unwrap();
    let reason = expected;
    assert_eq!(heard, ChannelMessage::Goodbye { reason });
}

#[test]
fn a_chunk_is_what_was_announced_or_nothing() {
    let write = |parameters: &str| {
        let text = format!(r#"{{"command":"write","parameters":{{"file":"f",{parameters}}}}}"#);
        match AgentRequest::parse(text.as_bytes()).unwrap() {
            AgentRequest::Write { file, chunk } => {
                assert_eq!(file, "f");
                chunk
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(write(r#""buffer":"YWJj","length":3"#).unwrap(), b"abc");
    assert_eq!(write(r#""buffer":"YQ==","length":1"#).unwrap(), b"a");
    assert_eq!(write(r#""buffer":"YQ==","length":1.0"#).unwrap(), b"a");
    for bad in [
        r#""buffer":"YWJj","length":2"#,
        r#""buffer":"YWJj","length":4"#,
        r#""buffer":"YWJj","length":-3"#,
        r#""buffer":"YWJj","length":3.5"#,
        r#""buffer":"YWJj","length":"3""#,
        r#""buffer":"YWJj""#,
        r#""buffer":"","length":0"#,
        r#""buffer":"YQ","length":1"#,
        r#""buffer":"YQ= =","length":1"#,
        r#""buffer":"Y-_j","length":3"#,
        r#""buffer":7,"length":3"#,
        r#""length":3"#,
    ] {
        assert_eq!(write(bad), None, "{bad}");
    }
}

#[test]
fn names_of_files_are_bare_and_not_endless() {
    let close = |name: &str| {
        let text = format!(r#"{{"command":"close","parameters":{{"file":"{name}"}}}}"#);
        AgentRequest::parse(text.as_bytes())
    };
    for good in ["a", "...", ".a", "a..", &"x".repeat(MAX_FILE_NAME)] {
        let file = good.to_owned();
        assert_eq!(close(good).unwrap(), AgentRequest::Close { file });
    }
    for bad in ["", ".", "..", "a/", "../a", &"x".repeat(MAX_FILE_NAME + 1)] {
        assert_eq!(close(bad).unwrap_err().code, AgentCode::FileName, "{bad}");
    }
    assert_eq!(MAX_FILE_NAME, 4095);
}

#[test]
fn texts_of_the_task_socket_have_a_limit() {
    let node = |length: usize| {
        let name = "n".repeat(length);
        let text = format!(
            r#"{{"origin":{{"name":"{name}"}},"command":"upgrade_cancel_tasks","parameters":{{}}}}"#
        );
        TaskRequest::parse(text.as_bytes())
    };
    let module = |length: usize| {
        let module = "m".repeat(length);
        let text = format!(
            r#"{{"origin":{{"name":"n","module":"{module}"}},"command":"upgrade","parameters":{{"agents":[1]}}}}"#
        );
        TaskRequest::parse(text.as_bytes())
    };
    let reason = |length: usize| {
        let reason = "r".repeat(length);
        let text = format!(
            r#"{{"origin":{{"name":"n"}},"command":"upgrade_update_status","parameters":{{"agents":[1],"status":"Failed","error_msg":"{reason}"}}}}"#
        );
        TaskRequest::parse(text.as_bytes())
    };
    for (place, parse) in [
        ("node", &node as &dyn Fn(usize) -> _),
        ("module", &module),
        ("error_msg", &reason),
    ] {
        assert!(parse(MAX_TEXT).is_ok(), "{place}");
        let refusal = parse(MAX_TEXT + 1).unwrap_err();
        assert_eq!(refusal.code(), TaskCode::DatabaseRequest, "{place}");
    }
    assert_eq!(MAX_TEXT, 2048);
}

/// What of a message is told in a log or to the other side cannot steer a
/// terminal and is short.
#[test]
fn no_text_of_a_message_is_shown_as_it_came() {
    let evil = format!("\u{1b}[2J\u{9b}\u{202e}{}", "x".repeat(10_000));
    let greeting = serde_json::json!({"protocol": evil, "platform": "", "version": ""});
    let payload = [&[1, 0, 0, 0, 0], greeting.to_string().as_bytes()].concat();
    let error = ChannelMessage::decode(&payload.into())
        .unwrap_err()
        .to_string();
    assert!(!error.contains(wpk_api::words::steers), "{error:?}");
    assert!(error.len() < 1_000, "{} bytes", error.len());

    let goodbye = serde_json::json!({"reason": evil});
    let payload = [&[8, 0, 0, 0, 0], goodbye.to_string().as_bytes()].concat();
    let Ok(ChannelMessage::Goodbye { reason }) = ChannelMessage::decode(&payload.into()) else {
        panic!("no goodbye");
    };
    assert!(!reason.contains(wpk_api::words::steers), "{reason:?}");
    assert!(reason.len() <= 256);

    for steers in ["a\u{1b}", "a\u{9b}", "a\u{202e}"] {
        let platform = steers.to_owned();
        let refused = ChannelMessage::Hello(Hello {
            platform,
            ..hello()
        });
        let frame = refused.encode().unwrap();
        assert!(
            ChannelMessage::decode(&frame.slice(4..)).is_err(),
            "{steers:?}"
        );
    }
}
