//! Why a certificate cannot be made or used, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    #[error("{0}")]
    Step(String),
    #[error(
        "{path}: {error}; it must be a file or folder that the daemon's user may read and write"
    )]
    File { path: PathBuf, error: io::Error },
    #[error(
        "{path} is readable by others (mode {mode:03o}): run `chmod 0600` on it; if a stranger could \
         read it, delete the folder and enroll all agents again"
    )]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{path} cannot be used: {reason}; put it back from a backup")]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{0} is there but its key ca.key is not: put it back from a backup, or delete the folder and enroll all agents again"
    )]
    NoKey(PathBuf),
    #[error("ca_passphrase_file: {path}: {reason}")]
    Passphrase { path: PathBuf, reason: String },
    #[error(
        "{0} is sealed with a passphrase: name the file that holds it, `ca_passphrase_file` in [transport]"
    )]
    Sealed(PathBuf),
    #[error("{0} is sealed with another passphrase than that in `ca_passphrase_file`")]
    WrongPassphrase(PathBuf),
    #[error(
        "{0} is not sealed: name the file that holds the passphrase of all nodes, `ca_passphrase_file` in [transport]"
    )]
    Open(PathBuf),
    #[error("a key cannot be sealed with the passphrase: {0}")]
    Sealing(String),
    #[error("making a certificate failed: {0}")]
    Making(#[from] rcgen::Error),
    #[error("the request for a certificate cannot be used: {0}; an ECDSA P-256 key is expected")]
    Request(rcgen::Error),
    #[error("the CA cannot be used for TLS: {0}")]
    Trust(String),
    #[error("the new certificate cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl PkiError {
    /// For errors at a path.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}
