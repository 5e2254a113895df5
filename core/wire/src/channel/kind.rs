//! The kinds of messages, and what must hold of each whichever way it goes.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use wpk_api::words;

use super::error::{ChannelError, PROTOCOL};

/// The longest payload on the channel, in bytes, kind and stream id included.
pub const MAX_PAYLOAD: usize = 128 * 1024;

/// Bytes of kind and stream id.
pub(super) const PREFIX_LEN: usize = 5;

/// The longest JSON body, in bytes: these messages are small.
const MAX_JSON: usize = 16 * 1024;

/// The longest text in a [`Hello`] or [`Welcome`], in bytes.
const MAX_TEXT: usize = 256;

/// The most CAs that a manager and its agents trust at a time: a new one, the one in use
/// and the one before.
pub const MOST_CAS: usize = 4;

/// The kind of a message: its byte on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Welcome = 2,
    Command = 3,
    Answer = 4,
    Acknowledge = 5,
    Ping = 6,
    Pong = 7,
    Goodbye = 8,
    Enroll = 9,
    Enrolled = 10,
    Renew = 11,
    Renewed = 12,
    Authorities = 13,
    Trusts = 14,
}

impl Kind {
    pub(super) fn read(byte: u8) -> Result<Self, ChannelError> {
        Ok(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Command,
            4 => Self::Answer,
            5 => Self::Acknowledge,
            6 => Self::Ping,
            7 => Self::Pong,
            8 => Self::Goodbye,
            9 => Self::Enroll,
            10 => Self::Enrolled,
            11 => Self::Renew,
            12 => Self::Renewed,
            13 => Self::Authorities,
            14 => Self::Trusts,
            other => return Err(ChannelError::Kind(other)),
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Welcome => "welcome",
            Self::Command => "command",
            Self::Answer => "answer",
            Self::Acknowledge => "acknowledge",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Goodbye => "goodbye",
            Self::Enroll => "enroll",
            Self::Enrolled => "enrolled",
            Self::Renew => "renew",
            Self::Renewed => "renewed",
            Self::Authorities => "authorities",
            Self::Trusts => "trusts",
        }
    }

    /// Whether it belongs to a stream.
    fn has_stream(self) -> bool {
        matches!(self, Self::Command | Self::Answer)
    }

    /// The longest body, in bytes.
    fn limit(self) -> usize {
        match self {
            Self::Command | Self::Answer => MAX_PAYLOAD - PREFIX_LEN,
            Self::Hello
            | Self::Welcome
            | Self::Acknowledge
            | Self::Goodbye
            | Self::Enroll
            | Self::Enrolled
            | Self::Renew
            | Self::Renewed
            | Self::Authorities
            | Self::Trusts => MAX_JSON,
            Self::Ping | Self::Pong => 0,
        }
    }

    /// What must hold for a message of this kind, whichever way it goes.
    pub(super) fn check(self, stream: u32, length: usize) -> Result<(), ChannelError> {
        if self.has_stream() != (stream != 0) {
            let kind = self as u8;
            return Err(ChannelError::Stream { kind, stream });
        }
        if length > self.limit() {
            return Err(ChannelError::TooLong {
                kind: self.name(),
                length,
                limit: self.limit(),
            });
        }
        Ok(())
    }
}

pub(super) fn check_protocol(protocol: u32) -> Result<(), ChannelError> {
    if protocol == PROTOCOL {
        Ok(())
    } else {
        Err(ChannelError::Protocol(protocol))
    }
}

pub(super) fn check_text(kind: Kind, key: &str, text: &str) -> Result<(), ChannelError> {
    // What steers a terminal would reach logs, tables and the agents' directory.
    if text.len() > MAX_TEXT || text.chars().any(words::steers) {
        let reason = format!("`{key}` is over {MAX_TEXT} bytes or holds control characters");
        return Err(not_understood(kind, reason));
    }
    Ok(())
}

/// What names CAs: few digests, each 64 hexadecimal digits.
pub(super) fn check_digests(kind: Kind, digests: &[String]) -> Result<(), ChannelError> {
    let good = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digests.len() > MOST_CAS || !digests.iter().all(good) {
        let reason = format!("`trusts` holds more than {MOST_CAS} digests, or what is none");
        return Err(not_understood(kind, reason));
    }
    Ok(())
}

pub(super) fn json_body<T: Serialize>(kind: Kind, value: &T) -> Result<Bytes, ChannelError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| not_understood(kind, error))
}

pub(super) fn from_json<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, ChannelError> {
    serde_json::from_slice(body).map_err(|error| not_understood(kind, error))
}

pub(super) fn not_understood(kind: Kind, reason: impl std::fmt::Display) -> ChannelError {
    // A reader of JSON repeats what it found.
    ChannelError::Body {
        kind: kind.name(),
        reason: clip(&reason.to_string()),
    }
}

/// A reason as one short line.
pub(super) fn clip(reason: &str) -> String {
    reason
        .chars()
        .filter(|c| !words::steers(*c))
        .take(MAX_TEXT)
        .collect()
}
