//! Why an installer cannot begin. What goes wrong after it has begun is no
//! error: it is rolled back and reported.

use std::io;
use std::path::{Path, PathBuf};

/// Why nothing was installed, and nothing reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A file or folder the system refuses.
    #[error("{path}: cannot {action}: {source}")]
    Path {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A path the installer was given and will not touch.
    #[error("{path:?} is refused: {reason}")]
    Refused {
        /// As it was given.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: &'static str,
    },
    /// A command that cannot be kept in the journal.
    #[error("the command {0:?} is refused: it needs a program, and no control characters")]
    Command(String),
    /// Another installer works in this home.
    #[error("{0} is locked: another installer is at work in this home; wait for its end")]
    Locked(PathBuf),
    /// The result of the upgrade before was not delivered yet.
    #[error(
        "{0} is there: the result of the upgrade before was not delivered yet; \
         wait until the manager has taken it, or remove the file"
    )]
    ResultWaiting(PathBuf),
    /// A journal that this version cannot read.
    #[error(
        "{path}, line {line}: {reason}; look at the files named in it, \
         then move it away to allow upgrades again"
    )]
    Journal {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The installer could not go to the background.
    #[error("the installer cannot go on in the background: {0}")]
    Background(String),
}

impl InstallError {
    pub(crate) fn path(path: &Path, action: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Path {
            path: path.to_owned(),
            action,
            source: source.into(),
        }
    }

    /// The exit status an installer ends with: 75 (try again later) while
    /// another one is at work or a result waits, else 2.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Locked(_) | Self::ResultWaiting(_) => 75,
            _ => 2,
        }
    }
}
