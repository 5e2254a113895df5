//! Running an installer (section 7), through a supervisor of its own (`supervisor`): a
//! process group started from the home with nothing of our environment, ended as a
//! whole at its time limit, its output in a log file. The engine and the start of the
//! agent enter.
//!
//! An installer gets `PATH` with the system's folders, `HOME` with the agent's home,
//! and `LC_ALL=C`; nothing to read; no descriptor but the log. Only the first process is
//! waited for: what it leaves running in the background goes on.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use wpk_api::words::{LONGEST_CAUSE, clean};

use crate::platform::processes::{Group, SELF, in_its_own_group};
use crate::reload::Live;
use crate::running::Running;
use crate::supervisor::{Outcome, Said};

/// A supervisor's word has at most so many bytes.
const LONGEST: u64 = 16 * 1024;

/// What all installers of this agent have in common.
#[derive(Debug, Clone)]
pub(crate) struct Installers {
    pub(crate) home: PathBuf,
    pub(crate) log: PathBuf,
    /// For the limits.
    pub(crate) live: Live,
    pub(crate) running: Running,
}

/// An installer that was begun.
#[derive(Debug)]
pub(crate) struct Begun(ChildStdout);

impl Installers {
    /// Begins `program`; `lock` says to all that it runs, and the file `life` is locked
    /// while anything of it lives. Must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// The supervisor cannot be started.
    pub(crate) fn begin(
        &self,
        program: &Path,
        label: &str,
        lock: Option<File>,
        life: Option<&Path>,
    ) -> Result<Begun, Outcome> {
        let settings = self.live.now();
        let log_limit = settings.limits.installer_log.0.to_string();
        let milliseconds = |time: Duration| OsString::from(time.as_millis().to_string());
        let mut command = Command::new(SELF);
        command
            .arg("run-installer")
            .args([OsString::from("--folder"), self.home.clone().into()])
            .arg(format!("--label={label}"))
            .args([OsString::from("--log"), self.log.clone().into()])
            .args([OsString::from("--log-limit"), log_limit.into()])
            .args([
                OsString::from("--limit"),
                milliseconds(settings.upgrade.execution_timeout.0),
            ])
            .args([
                OsString::from("--within"),
                milliseconds(settings.upgrade.result_within.0),
            ])
            .args(life.map(|life| {
                let mut argument = OsString::from("--life=");
                argument.push(life);
                argument
            }))
            .arg("--")
            .arg(program)
            .env_clear()
            .current_dir("/")
            .stdin(lock.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        in_its_own_group(command.as_std_mut());
        let mut child = command
            .spawn()
            .map_err(|error| Outcome::failed(format!("no process can be made: {error}")))?;
        let word = child.stdout.take();
        word.map(Begun)
            .ok_or_else(|| Outcome::failed("its supervisor cannot be heard"))
    }
}

impl Begun {
    /// How its first process ended.
    pub(crate) async fn ended(self) -> Outcome {
        let mut reader = BufReader::new(self.0.take(LONGEST));
        let mut group = None;
        loop {
            let mut line = Vec::new();
            if let Err(error) = reader.read_until(b'\n', &mut line).await {
                return Outcome::failed(format!("its supervisor cannot be heard: {error}"));
            }
            match Said::from_line(&String::from_utf8_lossy(&line)) {
                Some(Said::Group(path)) => {
                    tracing::debug!("the installer has a control group of its own: {path}");
                    group = Group::at(Path::new(&path));
                }
                Some(Said::NoGroup(reason)) => tracing::debug!(
                    "the installer has no control group of its own ({reason}): what it starts \
                     is found by its descent"
                ),
                Some(Said::Ended(Outcome::Failed { reason, left })) => {
                    return Outcome::Failed {
                        reason: clean(&reason, LONGEST_CAUSE),
                        left: clean(&left, LONGEST_CAUSE),
                    };
                }
                Some(Said::Ended(exited)) => return exited,
                None => return lost(group.as_ref()),
            }
        }
    }
}

/// The supervisor ended without a word: killed, perhaps by the installer. Nobody ends
/// that any more unless it is done here.
fn lost(group: Option<&Group>) -> Outcome {
    let ended = "its supervisor ended without a word";
    match group.map(Group::kill) {
        Some(Ok(())) => Outcome::failed(format!("{ended}; all of it was killed")),
        Some(Err(error)) => Outcome::Failed {
            reason: format!("{ended}, and what it started cannot be killed: {error}"),
            left: "what the installer started".to_owned(),
        },
        None => Outcome::Failed {
            reason: format!("{ended}; what it started may go on"),
            left: "perhaps what the installer started".to_owned(),
        },
    }
}
