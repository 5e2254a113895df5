//! The way to the background: the installer starts itself a second time, in a
//! session of its own, and ends with status 0 once that one has said that it is
//! at work. Nothing of the agent stays open in it but the log file.
//!
//! A second start instead of a bare fork, because it is safe in a program with
//! threads. The two talk over a socket at the second one's standard input.

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{setsid, umask};

use crate::error::InstallError;
use crate::log;

/// Set in the second one.
pub(crate) const MARK: &str = "WPK_INSTALLER_BACKGROUND";
/// How long it may take until it is at work. Agents wait 60 s for an installer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of what it says when it is not.
const LONGEST: u64 = 4096;
const READY: &[u8] = b"ready\n";

/// Whether this process is the second one.
pub(crate) fn is_background() -> bool {
    env::var_os(MARK).is_some()
}

/// Starts the second one and waits until it is at work.
///
/// # Errors
/// Its exit status and what it said, when it is not.
pub(crate) fn start(home: &Path) -> Result<(), (u8, String)> {
    let fail = |error: InstallError| (error.exit_status(), error.to_string());
    let broken = |error: io::Error| fail(InstallError::Background(error.to_string()));
    let (ours, theirs) = UnixStream::pair().map_err(broken)?;
    let mut child = spawn(home, theirs).map_err(fail)?;
    ours.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    let mut said = Vec::new();
    let read = ours.take(LONGEST).read_to_end(&mut said);
    match read {
        Ok(_) if said == READY => return Ok(()),
        Ok(_) => {}
        Err(error) => {
            // It would go on unheard. Its journal, if any, has it finished later.
            let _ = child.kill();
            let _ = child.wait();
            return Err(broken(error));
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    match said
        .split_once('\n')
        .map(|(status, text)| (status.parse(), text))
    {
        Some((Ok(status), text)) => Err((status, text.to_owned())),
        _ => Err(broken(io::Error::other(
            "it ended at once; its log may say why",
        ))),
    }
}

fn spawn(home: &Path, theirs: UnixStream) -> Result<Child, InstallError> {
    let broken = |error: io::Error| InstallError::Background(error.to_string());
    let log = log::open(home)?;
    let errors = log.try_clone().map_err(broken)?;
    let program = env::current_exe().map_err(broken)?;
    // What an agent may have left open: its restart must not find it held.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    Command::new(program)
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        .current_dir(home)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(broken)
}

/// The second one's end of the socket.
#[derive(Debug)]
pub(crate) struct Starter(UnixStream);

impl Starter {
    /// Leaves the session of the first one and sets up what a process of its
    /// own needs.
    pub(crate) fn detach() -> Result<Self, InstallError> {
        let broken = |error: io::Error| InstallError::Background(error.to_string());
        let socket = io::stdin().as_fd().try_clone_to_owned().map_err(broken)?;
        setsid().map_err(|error| broken(error.into()))?;
        umask(Mode::from_raw_mode(0o027));
        Ok(Self(UnixStream::from(socket)))
    }

    /// Lets the first one end with status 0.
    pub(crate) fn ready(mut self) -> Result<(), InstallError> {
        let told = self
            .0
            .write_all(READY)
            .and_then(|()| self.0.shutdown(std::net::Shutdown::Both));
        told.map_err(|error| {
            InstallError::Background(format!("the one who started it is gone: {error}"))
        })
    }

    /// Lets the first one end with the error.
    pub(crate) fn failed(mut self, error: &InstallError) {
        log::say(error);
        // When it is gone the log has it.
        let _ = self
            .0
            .write_all(format!("{}\n{error}", error.exit_status()).as_bytes());
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}
