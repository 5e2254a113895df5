//! What can go wrong, each with what to do about it. Everything ends here and
//! is printed by `main`.

use std::io;
use std::path::{Path, PathBuf};

use crate::manager::denied;
use wpk_package::{PackageError, SignerError};
use wpk_wire::upgrade::response::ResponseError;
use wpk_wire::{Code, FrameError, UpgradeCommand};

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtlError {
    /// The command line asks for something that makes no sense; exit status 2.
    #[error("{0}")]
    Usage(String),
    /// What `--ca` names holds no CA.
    #[error("no CA certificate could be loaded from {0}")]
    Ca(String),
    #[error(
        "the manager's settings cannot be used to find its socket; correct them or give --socket PATH:\n{0}"
    )]
    Settings(String),
    #[error("the async runtime cannot be started: {0}")]
    Runtime(io::Error),
    #[error(
        "cannot reach the manager at {socket}: {source}; {}", advice(.socket, .source)
    )]
    Unreachable { socket: PathBuf, source: io::Error },
    #[error(
        "the connection to the manager at {socket} broke ({source}) before it answered `{command}`; look into the manager's log{}", afterwards(.command)
    )]
    Lost {
        socket: PathBuf,
        command: UpgradeCommand,
        source: io::Error,
    },
    #[error(
        "the manager at {socket} did not answer `{command}` within {seconds} s; look into its log{}", afterwards(.command)
    )]
    Silent {
        socket: PathBuf,
        command: UpgradeCommand,
        seconds: u64,
    },
    #[error("{socket}: {source}; is it the upgrade socket of a manager?")]
    Frame { socket: PathBuf, source: FrameError },
    #[error("{socket}: {source}; is it the upgrade socket of a manager?")]
    Answer {
        socket: PathBuf,
        source: ResponseError,
    },
    #[error("the manager refused `{command}` with code {code}: {message}")]
    Refused {
        command: UpgradeCommand,
        code: Code,
        message: String,
    },
    /// Names, patterns or a selector that mean no agent.
    #[error("{0}")]
    Nobody(String),
    #[error("{0}")]
    Unexpected(String),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("cannot {action} {path}: {source}")]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{0} exists already and is not replaced; choose another folder or move it away")]
    Exists(PathBuf),
    #[error("cannot print: {0}")]
    Print(io::Error),
}

impl CtlError {
    /// Whether the command line is at fault.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn advice(socket: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => return denied::advice(socket),
        io::ErrorKind::InvalidInput => "the path is too long for a socket; use a shorter one",
        _ => {
            "start wpkd, or say where its socket is with --socket PATH, --home DIR or --config FILE"
        }
    }
    .to_owned()
}

/// A request that creates something may have been carried out unheard.
fn afterwards(command: &UpgradeCommand) -> &'static str {
    if command.creates_tasks() {
        "; tasks may have been created: see `wpkctl result`"
    } else if *command == UpgradeCommand::UpgradeCancel {
        "; tasks may have been taken back: see `wpkctl result`"
    } else if command.changes_rollouts() {
        "; it may have been done all the same: see `wpkctl rollout history`"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_tasks_may_have_been_created_the_user_is_told_so() {
        for command in UpgradeCommand::ALL {
            let silent = CtlError::Silent {
                socket: PathBuf::from("s"),
                command: *command,
                seconds: 1,
            };
            let lost = CtlError::Lost {
                socket: PathBuf::from("s"),
                command: *command,
                source: io::ErrorKind::UnexpectedEof.into(),
            };
            let creates = [UpgradeCommand::Upgrade, UpgradeCommand::UpgradeCustom];
            for error in [silent.to_string(), lost.to_string()] {
                let told = error.contains("tasks may have been created");
                assert_eq!(told, creates.contains(command), "{error}");
            }
        }
    }
}
