//! What can keep the demo from coming to its end.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use wpk_package::{PackageError, SignerError};
use wpk_wire::Item;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The temporary folder would make the manager's socket unreachable.
    #[error(
        "{}: too long for a temporary folder with sockets in it, whose paths have at most \
         107 bytes; set TMPDIR to a shorter path, for example TMPDIR=/tmp",
        .0.display()
    )]
    TooLong(PathBuf),
    /// Keys or certificates could not be made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A package could not be made.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A program was expected to succeed.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// Something that must happen soon did not happen.
    #[error("{what} within {seconds} s")]
    Late {
        /// What did not happen.
        what: String,
        /// How long it had.
        seconds: u64,
    },
    /// The manager's answer is none that can be used.
    #[error("the manager's answer to {request} is not understood: {answer}")]
    Answer {
        /// What it was asked.
        request: String,
        /// What it said.
        answer: String,
    },
    /// The demo as a whole.
    #[error("not done after {0} s")]
    Deadline(u64),
    /// By a signal.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    pub(crate) fn io(what: impl Display, source: io::Error) -> Self {
        Self::Io {
            what: what.to_string(),
            source,
        }
    }

    pub(crate) fn answer(request: impl Display, answer: &[Item]) -> Self {
        Self::Answer {
            request: request.to_string(),
            answer: format!("{answer:?}"),
        }
    }

    pub(crate) fn late(what: impl Display, patience: Duration) -> Self {
        Self::Late {
            what: what.to_string(),
            seconds: patience.as_secs(),
        }
    }

    /// 130 is what shells show for a program that Ctrl-C ended.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
