//! The embedded manager's agent channel: what manager and agent say to each
//! other inside the TLS connection.
//!
//! Frames are those of section 1 with a limit of 128 KiB. A payload is one
//! byte of kind, four bytes of big-endian stream id (0 where none is needed),
//! then the body. Commands and answers carry the bytes of section 5 and are
//! matched by the stream id, so several may be under way at once; the rest is
//! JSON or empty.

mod enroll;
mod error;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wpk_api::{AgentId, words};

use crate::frame;

pub use enroll::{BadToken, Enroll, EnrollToken, Enrolled};
pub use error::{ChannelError, PROTOCOL};

/// The longest payload on the channel, in bytes, kind and stream id included.
pub const MAX_PAYLOAD: usize = 128 * 1024;

/// Bytes of kind and stream id.
const PREFIX_LEN: usize = 5;

/// The longest JSON body, in bytes: these messages are small.
const MAX_JSON: usize = 16 * 1024;

/// The longest text in a [`Hello`] or [`Welcome`], in bytes.
const MAX_TEXT: usize = 256;

/// What an agent says of itself first, after the TLS handshake told who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// `ubuntu`, `windows`, `darwin`, ...
    pub platform: String,
    /// The whole version text of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Its first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_major: Option<String>,
    /// Its second part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_minor: Option<String>,
    /// `x86_64`, `aarch64`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The agent's version, `v4.14.0` or `Wazuh v4.14.0`.
    pub version: String,
    /// Whether the agent repeats a task's id that comes with `upgrade` in its
    /// acknowledgement. Absent, and so false, from one that was made before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_tasks: bool,
}

/// The manager's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The agent's id, as its certificate says.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// Seconds between two signs of life; silence of three times that is a lost connection.
    pub keepalive_seconds: u32,
}

/// Body of a goodbye.
#[derive(Serialize, Deserialize)]
struct Goodbye {
    reason: String,
}

/// One message on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelMessage {
    /// Agent to manager, first.
    Hello(Hello),
    /// Manager to agent, the answer to it.
    Welcome(Welcome),
    /// Manager to agent: the command of section 5 that follows the address.
    Command {
        /// Chosen by the manager, not 0, not reused while under way.
        stream: u32,
        /// The command.
        bytes: Bytes,
    },
    /// Agent to manager: the answer to the command with that stream id.
    Answer {
        /// As in the command.
        stream: u32,
        /// The answer.
        bytes: Bytes,
    },
    /// Agent to manager: the message of section 6, without `agents`.
    Acknowledge(Bytes),
    /// Either way: a sign of life is asked for.
    Ping,
    /// The sign of life.
    Pong,
    /// Agent to manager, first and in the place of a hello, on a connection without a
    /// certificate: it wants one.
    Enroll(Enroll),
    /// Manager to agent, the answer to it; the connection ends then.
    Enrolled(Enrolled),
    /// Either way: the connection is about to be closed.
    Goodbye {
        /// Why, for the log of the other side.
        reason: String,
    },
}

/// The kind of a message: its byte on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
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
}

impl Kind {
    fn read(byte: u8) -> Result<Self, ChannelError> {
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
            other => return Err(ChannelError::Kind(other)),
        })
    }

    fn name(self) -> &'static str {
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
            | Self::Enrolled => MAX_JSON,
            Self::Ping | Self::Pong => 0,
        }
    }

    /// What must hold for a message of this kind, whichever way it goes.
    fn check(self, stream: u32, length: usize) -> Result<(), ChannelError> {
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

impl ChannelMessage {
    fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Welcome(_) => Kind::Welcome,
            Self::Command { .. } => Kind::Command,
            Self::Answer { .. } => Kind::Answer,
            Self::Acknowledge(_) => Kind::Acknowledge,
            Self::Ping => Kind::Ping,
            Self::Pong => Kind::Pong,
            Self::Goodbye { .. } => Kind::Goodbye,
            Self::Enroll(_) => Kind::Enroll,
            Self::Enrolled(_) => Kind::Enrolled,
        }
    }

    /// The name of the kind, for logs.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The whole frame, length included, ready to be written.
    ///
    /// # Errors
    /// [`ChannelError::TooLong`] over the limit of its kind ([`MAX_PAYLOAD`] for
    /// commands and answers), [`ChannelError::Stream`] for a command or answer
    /// on stream 0.
    pub fn encode(&self) -> Result<Bytes, ChannelError> {
        let kind = self.kind();
        let (stream, body) = match self {
            Self::Hello(hello) => (0, json_body(kind, hello)?),
            Self::Welcome(welcome) => (0, json_body(kind, welcome)?),
            Self::Enroll(enroll) => (0, json_body(kind, enroll)?),
            Self::Enrolled(enrolled) => (0, json_body(kind, enrolled)?),
            Self::Command { stream, bytes } | Self::Answer { stream, bytes } => {
                (*stream, bytes.clone())
            }
            Self::Acknowledge(bytes) => (0, bytes.clone()),
            Self::Ping | Self::Pong => (0, Bytes::new()),
            Self::Goodbye { reason } => {
                let reason = clip(reason);
                (0, json_body(kind, &Goodbye { reason })?)
            }
        };
        kind.check(stream, body.len())?;
        let length = PREFIX_LEN + body.len();
        let mut out = BytesMut::with_capacity(frame::HEADER_LEN + length);
        out.put_slice(&frame::header(length));
        out.put_u8(kind as u8);
        out.put_u32(stream);
        out.put_slice(&body);
        Ok(out.freeze())
    }

    /// Reads the payload of one frame; bodies of commands and answers are not copied.
    ///
    /// # Errors
    /// Any [`ChannelError`]; the connection must then be closed.
    pub fn decode(payload: &Bytes) -> Result<Self, ChannelError> {
        let Some((&[kind, a, b, c, d], body)) = payload.split_first_chunk::<PREFIX_LEN>() else {
            return Err(ChannelError::Short(payload.len()));
        };
        let kind = Kind::read(kind)?;
        let stream = u32::from_be_bytes([a, b, c, d]);
        kind.check(stream, body.len())?;
        let bytes = payload.slice(PREFIX_LEN..);
        Ok(match kind {
            Kind::Hello => {
                let hello: Hello = from_json(kind, body)?;
                hello.check()?;
                Self::Hello(hello)
            }
            Kind::Welcome => {
                let welcome: Welcome = from_json(kind, body)?;
                welcome.check()?;
                Self::Welcome(welcome)
            }
            Kind::Enroll => {
                let enroll: Enroll = from_json(kind, body)?;
                check_protocol(enroll.protocol)?;
                check_text(kind, "name", &enroll.name)?;
                Self::Enroll(enroll)
            }
            Kind::Enrolled => {
                let enrolled: Enrolled = from_json(kind, body)?;
                check_protocol(enrolled.protocol)?;
                check_text(kind, "name", &enrolled.name)?;
                Self::Enrolled(enrolled)
            }
            Kind::Command => Self::Command { stream, bytes },
            Kind::Answer => Self::Answer { stream, bytes },
            Kind::Acknowledge => Self::Acknowledge(bytes),
            Kind::Ping => Self::Ping,
            Kind::Pong => Self::Pong,
            Kind::Goodbye => {
                let goodbye: Goodbye = from_json(kind, body)?;
                Self::Goodbye {
                    reason: clip(&goodbye.reason),
                }
            }
        })
    }
}

impl Hello {
    fn check(&self) -> Result<(), ChannelError> {
        check_protocol(self.protocol)?;
        let optional = [
            ("os_version", &self.os_version),
            ("os_major", &self.os_major),
            ("os_minor", &self.os_minor),
            ("arch", &self.arch),
        ];
        check_text(Kind::Hello, "platform", &self.platform)?;
        check_text(Kind::Hello, "version", &self.version)?;
        for (key, text) in optional {
            check_text(Kind::Hello, key, text.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

impl Welcome {
    fn check(&self) -> Result<(), ChannelError> {
        check_protocol(self.protocol)?;
        check_text(Kind::Welcome, "name", &self.name)?;
        if self.keepalive_seconds == 0 {
            return Err(not_understood(Kind::Welcome, "keepalive_seconds is 0"));
        }
        Ok(())
    }
}

fn check_protocol(protocol: u32) -> Result<(), ChannelError> {
    if protocol == PROTOCOL {
        Ok(())
    } else {
        Err(ChannelError::Protocol(protocol))
    }
}

fn check_text(kind: Kind, key: &str, text: &str) -> Result<(), ChannelError> {
    // What steers a terminal would reach logs, tables and the agents' directory.
    if text.len() > MAX_TEXT || text.chars().any(words::steers) {
        let reason = format!("`{key}` is over {MAX_TEXT} bytes or holds control characters");
        return Err(not_understood(kind, reason));
    }
    Ok(())
}

fn json_body<T: Serialize>(kind: Kind, value: &T) -> Result<Bytes, ChannelError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| not_understood(kind, error))
}

fn from_json<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, ChannelError> {
    serde_json::from_slice(body).map_err(|error| not_understood(kind, error))
}

fn not_understood(kind: Kind, reason: impl std::fmt::Display) -> ChannelError {
    // A reader of JSON repeats what it found.
    ChannelError::Body {
        kind: kind.name(),
        reason: clip(&reason.to_string()),
    }
}

/// A reason as one short line.
fn clip(reason: &str) -> String {
    reason
        .chars()
        .filter(|c| !words::steers(*c))
        .take(MAX_TEXT)
        .collect()
}
