//! Why a socket is not in its place.

use std::io;
use std::path::{Path, PathBuf};

/// Why a socket is not in its place, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system refused something.
    #[error("{path}: cannot {action}: {source}")]
    System {
        /// The socket, or the name beside it.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Clients could not name it.
    #[error("{0}: the path of a socket has at most 107 bytes and no NUL; choose a shorter one")]
    TooLong(PathBuf),
    /// Another program serves it, and it is not to be taken over.
    #[error(
        "{0}: another daemon serves this socket; beside a running Wazuh manager or agent, whose own \
         upgrade module cannot be switched off, set take_over = true in the section of this socket; \
         else stop that daemon, or choose another path"
    )]
    Served(PathBuf),
    /// A program of ours serves it. Never taken over.
    #[error(
        "{path}: another daemon of ours (wpkd or wpk-agent) runs and serves this socket (it listens \
         at {own}); stop it first, or choose another path"
    )]
    Ours {
        /// The socket.
        path: PathBuf,
        /// The name by which that is known.
        own: PathBuf,
    },
    /// Something else is there.
    #[error(
        "{0}: something that is no socket (or one of another type) lies there; move it away, or \
         choose another path"
    )]
    NoSocket(PathBuf),
    /// It cannot be told whether somebody serves it.
    #[error(
        "{path}: a socket lies there and it cannot be told whether somebody serves it: {source}; \
         remove it if nobody does"
    )]
    Unsure {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another program puts a socket into the same folder at this moment.
    #[error("{0}: another daemon is starting there at this moment; start only one")]
    Busy(PathBuf),
    /// There is no such group.
    #[error("{0}")]
    Group(String),
}

impl SocketError {
    pub(crate) fn system(path: &Path, action: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System {
            path: path.to_owned(),
            action,
            source: source.into(),
        }
    }
}
