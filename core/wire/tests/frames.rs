//! Frames and channel messages, whatever pieces they arrive in.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use bytes::Bytes;
use proptest::prelude::*;
use wpk_api::AgentId;
use wpk_wire::frame::{self, FrameDecoder, FrameError};
use wpk_wire::{ChannelError, ChannelMessage, Hello, Welcome, channel};

fn drain(decoder: &mut FrameDecoder, into: &mut Vec<Bytes>) {
    while let Some(payload) = decoder.next_frame().unwrap() {
        into.push(payload);
    }
}

fn messages() -> Vec<ChannelMessage> {
    vec![
        ChannelMessage::Hello(Hello {
            protocol: channel::PROTOCOL,
            platform: "ubuntu".into(),
            os_version: Some("22.04.3 LTS".into()),
            os_major: Some("22".into()),
            os_minor: None,
            arch: Some("x86_64".into()),
            version: "v4.14.0".into(),
            names_tasks: true,
            renews: true,
            trusts: vec!["5a".repeat(32)],
        }),
        ChannelMessage::Welcome(Welcome {
            protocol: channel::PROTOCOL,
            agent: AgentId::new(7).unwrap(),
            name: "web-7".into(),
            keepalive_seconds: 20,
            certificate_seconds: None,
        }),
        ChannelMessage::Command {
            stream: 1,
            bytes: Bytes::from_static(b"com lock_restart -1"),
        },
        ChannelMessage::Answer {
            stream: u32::MAX,
            bytes: Bytes::from_static(b"ok "),
        },
        ChannelMessage::Answer {
            stream: 2,
            bytes: Bytes::new(),
        },
        ChannelMessage::Acknowledge(Bytes::from_static(b"{}")),
        ChannelMessage::Ping,
        ChannelMessage::Pong,
        ChannelMessage::Goodbye {
            reason: "another connection of this agent".into(),
        },
    ]
}

#[test]
fn a_stream_split_at_every_byte_gives_the_same_payloads() {
    let payloads: [&[u8]; 4] = [b"first", b"", b"{\"a\":1}", &[0xff; 300]];
    let mut stream = Vec::new();
    for payload in payloads {
        stream.extend_from_slice(&frame::frame(payload));
    }
    for cut in 0..=stream.len() {
        let mut decoder = FrameDecoder::new(1024);
        let mut got = Vec::new();
        for piece in [&stream[..cut], &stream[cut..]] {
            decoder.push(piece);
            drain(&mut decoder, &mut got);
        }
        assert_eq!(got, payloads, "cut at {cut}");
        assert!(decoder.is_empty());
    }
}

#[test]
fn one_byte_at_a_time_shows_half_frames_as_pending() {
    let stream = frame::frame(b"abc");
    let mut decoder = FrameDecoder::new(3);
    for (index, byte) in stream.iter().enumerate() {
        assert_eq!(decoder.next_frame().unwrap(), None);
        assert_eq!(decoder.is_empty(), index == 0);
        decoder.push(&[*byte]);
    }
    assert_eq!(decoder.next_frame().unwrap().unwrap(), "abc");
    assert!(decoder.is_empty());
}

#[test]
fn a_length_over_the_limit_is_refused_before_any_byte_of_it() {
    let mut decoder = FrameDecoder::new(100);
    decoder.push(&frame::header(100));
    assert_eq!(decoder.next_frame(), Ok(None));
    for declared in [101, 0x8000_0000, 0xffff_ffff] {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(&frame::header(declared));
        let refused = Err(FrameError::TooLong {
            declared,
            limit: 100,
        });
        assert_eq!(decoder.next_frame(), refused);
        decoder.push(&[0; 8]);
        assert_eq!(decoder.next_frame(), refused, "and it stays so");
    }
}

#[test]
fn a_promised_gigabyte_reserves_nothing() {
    let mut decoder = FrameDecoder::new(usize::MAX);
    decoder.push(&frame::header(1 << 30));
    decoder.push(b"only this");
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.buffer_mut().capacity() < 4096);
}

#[test]
fn what_a_reader_appends_to_the_buffer_is_decoded() {
    let mut decoder = FrameDecoder::new(100);
    decoder.buffer_mut().extend_from_slice(&frame::header(2));
    decoder.buffer_mut().extend_from_slice(b"ok");
    assert_eq!(decoder.next_frame().unwrap().as_deref(), Some(&b"ok"[..]));
}

#[test]
fn channel_messages_survive_every_cut() {
    let mut stream = Vec::new();
    for message in messages() {
        stream.extend_from_slice(&message.encode().unwrap());
    }
    for cut in 0..=stream.len() {
        let mut decoder = FrameDecoder::new(channel::MAX_PAYLOAD);
        let mut got = Vec::new();
        for piece in [&stream[..cut], &stream[cut..]] {
            decoder.push(piece);
            drain(&mut decoder, &mut got);
        }
        let got: Vec<_> = got
            .iter()
            .map(|payload| ChannelMessage::decode(payload).unwrap())
            .collect();
        assert_eq!(got, messages(), "cut at {cut}");
    }
}

#[test]
fn the_layout_of_a_channel_message() {
    let message = ChannelMessage::Command {
        stream: 0x0102_0304,
        bytes: Bytes::from_static(b"x"),
    };
    assert_eq!(
        message.encode().unwrap(),
        Bytes::from_static(&[6, 0, 0, 0, 3, 1, 2, 3, 4, b'x'])
    );
}

#[test]
fn every_prefix_of_a_channel_payload_is_refused_or_another_whole_message() {
    for message in messages() {
        let payload = message.encode().unwrap().slice(frame::HEADER_LEN..);
        for end in 0..payload.len() {
            let part = payload.slice(..end);
            match ChannelMessage::decode(&part) {
                Ok(other) => assert!(matches!(
                    other,
                    ChannelMessage::Command { .. }
                        | ChannelMessage::Answer { .. }
                        | ChannelMessage::Acknowledge(_)
                )),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn channel_limits() {
    let decode = |bytes: &[u8]| ChannelMessage::decode(&Bytes::copy_from_slice(bytes));
    assert!(matches!(decode(&[]), Err(ChannelError::Short(0))));
    assert!(matches!(
        decode(&[99, 0, 0, 0, 0]),
        Err(ChannelError::Kind(99))
    ));
    assert!(matches!(
        decode(&[6, 0, 0, 0, 1]),
        Err(ChannelError::Stream { .. })
    ));
    assert!(matches!(
        decode(&[3, 0, 0, 0, 0]),
        Err(ChannelError::Stream { .. })
    ));
    assert!(matches!(
        decode(&[6, 0, 0, 0, 0, 1]),
        Err(ChannelError::TooLong { .. })
    ));
    let welcome = br#"{"protocol":2,"agent":1,"name":"a","keepalive_seconds":1}"#;
    let payload = [&[2, 0, 0, 0, 0], &welcome[..]].concat();
    assert!(matches!(decode(&payload), Err(ChannelError::Protocol(2))));
    let hello = br#"{"protocol":1,"platform":"a\nb","version":"v1.0.0"}"#;
    let payload = [&[1, 0, 0, 0, 0], &hello[..]].concat();
    assert!(matches!(decode(&payload), Err(ChannelError::Body { .. })));

    let room = channel::MAX_PAYLOAD - 5;
    let command = |len| ChannelMessage::Command {
        stream: 1,
        bytes: vec![0; len].into(),
    };
    assert_eq!(
        command(room).encode().unwrap().len(),
        channel::MAX_PAYLOAD + 4
    );
    assert!(command(room + 1).encode().is_err());
    assert!(
        ChannelMessage::Answer {
            stream: 0,
            bytes: Bytes::new()
        }
        .encode()
        .is_err()
    );
    assert!(
        ChannelMessage::Acknowledge(vec![b'x'; 20_000].into())
            .encode()
            .is_err()
    );
}

proptest! {
    #[test]
    fn any_payloads_in_any_pieces(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        piece in 1_usize..50,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|p| frame::frame(p).to_vec()).collect();
        let mut decoder = FrameDecoder::new(200);
        let mut got = Vec::new();
        for piece in stream.chunks(piece) {
            decoder.push(piece);
            drain(&mut decoder, &mut got);
        }
        prop_assert_eq!(got, payloads);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(message) = ChannelMessage::decode(&Bytes::from(bytes)) {
            prop_assert!(message.encode().is_ok());
        }
    }
}
