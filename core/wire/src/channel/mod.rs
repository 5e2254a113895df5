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
mod greeting;
mod kind;
mod renew;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::frame;

pub use enroll::{BadToken, Enroll, EnrollToken, Enrolled};
pub use error::{ChannelError, PROTOCOL};
pub use greeting::{Hello, Welcome};
pub use kind::{MAX_PAYLOAD, MOST_CAS};
pub use renew::{Authorities, Renew, Renewed, Trusts};

use kind::{Kind, PREFIX_LEN, check_protocol, check_text, clip, from_json, json_body};

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
    /// Agent to manager, first and in the place of a hello: it wants another certificate.
    Renew(Renew),
    /// Manager to agent, the answer to it; the connection ends then.
    Renewed(Renewed),
    /// Manager to agent, at any time after the welcome, to one that renews: the CAs that it
    /// is to trust from now on.
    Authorities(Authorities),
    /// Agent to manager: those it trusts, now that they are on its disk.
    Trusts(Trusts),
    /// Either way: the connection is about to be closed.
    Goodbye {
        /// Why, for the log of the other side.
        reason: String,
    },
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
            Self::Renew(_) => Kind::Renew,
            Self::Renewed(_) => Kind::Renewed,
            Self::Authorities(_) => Kind::Authorities,
            Self::Trusts(_) => Kind::Trusts,
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
            Self::Renew(renew) => (0, json_body(kind, renew)?),
            Self::Renewed(renewed) => (0, json_body(kind, renewed)?),
            Self::Authorities(authorities) => (0, json_body(kind, authorities)?),
            Self::Trusts(trusts) => (0, json_body(kind, trusts)?),
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
            Kind::Renew => {
                let renew: Renew = from_json(kind, body)?;
                check_protocol(renew.protocol)?;
                Self::Renew(renew)
            }
            Kind::Renewed => {
                let renewed: Renewed = from_json(kind, body)?;
                check_protocol(renewed.protocol)?;
                Self::Renewed(renewed)
            }
            Kind::Authorities => Self::Authorities(from_json(kind, body)?),
            Kind::Trusts => {
                let trusts: Trusts = from_json(kind, body)?;
                trusts.check()?;
                Self::Trusts(trusts)
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
