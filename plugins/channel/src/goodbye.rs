//! Why a connection ends, in the words of the manager's Goodbye. The first word,
//! up to the colon, is fixed and tells the agent how to go on; the rest is for
//! its log.

use std::fmt;

/// What a Goodbye of the manager says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goodbye {
    word: &'static str,
    text: String,
}

impl Goodbye {
    fn new(word: &'static str, text: impl Into<String>) -> Self {
        Self {
            word,
            text: text.into(),
        }
    }

    /// The manager ends; dial again.
    pub(crate) fn stopping() -> Self {
        Self::new("stopping", "the manager is stopping")
    }

    /// Nobody can tell now whose certificate it is, or give it another; dial again.
    pub(crate) fn unsure() -> Self {
        Self::new(
            "stopping",
            "the manager cannot read or write the list of agents now; its log says why",
        )
    }

    /// The same agent has dialled in a second time.
    pub(crate) fn replaced() -> Self {
        Self::new(
            "replaced",
            "the same certificate has dialled in again; if this repeats, two machines use it",
        )
    }

    /// Signed by the CA, but not in the registry.
    pub(crate) fn unknown() -> Self {
        Self::new(
            "unknown",
            "this certificate belongs to no enrolled agent; enroll the agent again",
        )
    }

    /// Taken back.
    pub(crate) fn revoked() -> Self {
        Self::new(
            "revoked",
            "this certificate was revoked; enroll the agent again",
        )
    }

    /// It has ended.
    pub(crate) fn expired(text: impl Into<String>) -> Self {
        Self::new("expired", text)
    }

    /// Nothing was heard, or nothing was read, for too long.
    pub(crate) fn silent(text: impl Into<String>) -> Self {
        Self::new("silent", text)
    }

    /// Against the rules of the channel.
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::new("protocol", text)
    }

    /// More messages than an agent has reason to send.
    pub(crate) fn flood() -> Self {
        Self::new("flood", "too many messages that nobody asked for")
    }

    /// An enrolment that was refused.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new("refused", text)
    }

    /// Too many enrolments that were refused.
    pub(crate) fn slower() -> Self {
        Self::new(
            "flood",
            "too many enrolments from this address were refused; try again in a minute",
        )
    }

    /// More connections than one agent has reason to make.
    pub(crate) fn crowded() -> Self {
        Self::new("flood", "too many connections with this certificate")
    }
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word, self.text)
    }
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By us; the agent is told.
    Ours(Goodbye),
    /// By the agent or by the network; there is nobody to tell.
    Theirs(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(goodbye) => goodbye.fmt(f),
            Self::Theirs(text) => f.write_str(text),
        }
    }
}
