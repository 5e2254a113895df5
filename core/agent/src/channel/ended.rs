//! How a connection ended, and what follows from it.

use std::fmt::Display;
use std::io;

use tokio::time::Duration;
use wpk_wire::ChannelMessage;

/// When to dial again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    AtOnce,
    Soon,
    /// After the longest pause: a person has to do something first.
    Late,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: String,
    pub(super) again: Again,
    /// For how long the manager had let us in.
    pub(super) lasted: Duration,
    /// Whether it was about the certificate that was shown.
    pub(super) refusal: Option<Refusal>,
}

/// What a manager has against a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no agent's, as far as the manager knows.
    Unknown,
    /// It was taken back.
    Revoked,
    /// It has ended.
    Expired,
}

impl Ended {
    pub(super) fn new(again: Again, reason: impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            again,
            lasted: Duration::ZERO,
            refusal: None,
        }
    }

    pub(super) fn lost(reason: impl ToString) -> Self {
        Self::new(Again::Soon, reason)
    }

    /// What the manager's Goodbye asks for: its first word tells.
    pub(super) fn dismissed(reason: &str) -> Self {
        let (again, refusal) = match reason.split(':').next().unwrap_or_default() {
            "unknown" => (Again::Late, Some(Refusal::Unknown)),
            "revoked" => (Again::Late, Some(Refusal::Revoked)),
            "expired" => (Again::Late, Some(Refusal::Expired)),
            "replaced" | "protocol" | "flood" | "refused" => (Again::Late, None),
            _ => (Again::Soon, None),
        };
        Self {
            refusal,
            ..Self::new(again, format_args!("the manager said goodbye: {reason}"))
        }
    }

    /// One of the two sides broke the rules.
    pub(super) fn protocol(reason: impl Display) -> Self {
        Self::new(Again::Late, format_args!("protocol: {reason}"))
    }

    pub(super) fn unexpected(message: &ChannelMessage) -> Self {
        let name = message.name();
        Self::protocol(format_args!("`{name}` is not the manager's to send now"))
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::lost(format_args!("the connection broke: {error}"))
    }
}
