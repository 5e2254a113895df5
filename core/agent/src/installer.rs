//! Running the installer (section 7): a process group of its own, started from
//! the home with nothing of our environment, stopped as a whole at its time
//! limit, its output in a log file.
//!
//! It gets `PATH` with the system's folders, `HOME` with the agent's home, and
//! `LC_ALL=C`; nothing to read; no descriptor but the log file. Only the first
//! process is waited for: what it leaves running in the background goes on.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::installer_log::InstallerLog;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often the log is held against its limit while an installer runs.
const LOG_CHECK: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const REAP: Duration = Duration::from_secs(5);
/// A file written a moment ago may still be held open by a process being started.
const BUSY: (u32, Duration) = (20, Duration::from_millis(25));

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this status.
    Exited(i32),
    /// Not at all well; code 18. The text is for the log.
    Failed(String),
}

/// Runs `program` in `home` for at most `limit`.
pub(crate) async fn run(
    program: &Path,
    package: &str,
    home: &Path,
    log: &InstallerLog,
    limit: Duration,
) -> Outcome {
    let output = match log.open(package) {
        Ok(output) => output,
        Err(error) => {
            return Outcome::Failed(format!("{}: {error}", log.path().display()));
        }
    };
    let (mut child, by_shell) = match start(program, home, &output).await {
        Ok(started) => started,
        Err(error) => return Outcome::Failed(format!("it cannot be started: {error}")),
    };
    drop(output);
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    match wait(&mut child, log, limit).await {
        Some(Ok(status)) => judge(status, by_shell),
        Some(Err(error)) => Outcome::Failed(format!("it cannot be waited for: {error}")),
        None => {
            // Its first process is not reaped yet, so the group is still its own.
            let killed = group.map(|group| kill_process_group(group, Signal::KILL));
            let reaped = timeout(REAP, child.wait()).await;
            tracing::debug!(?killed, ?reaped, "the installer's process group was killed");
            Outcome::Failed(format!("it ran longer than {limit:?} and was killed"))
        }
    }
}

/// Starts it; the flag tells that the shell had to.
async fn start(program: &Path, home: &Path, output: &File) -> io::Result<(Child, bool)> {
    let mut tries = BUSY.0;
    loop {
        let error = match spawn(Command::new(program), home, output) {
            Ok(child) => return Ok((child, false)),
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::TXTBSY) if tries > 0 => {
                tries -= 1;
                sleep(BUSY.1).await;
            }
            // A text without `#!` is a shell script, as for every shell.
            Some(Errno::NOEXEC) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg(program);
                return spawn(shell, home, output).map(|child| (child, true));
            }
            _ => return Err(error),
        }
    }
}

fn spawn(mut command: Command, home: &Path, output: &File) -> io::Result<Child> {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", home)
        .env("LC_ALL", "C")
        .current_dir(home)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
}

/// `None` at the time limit.
async fn wait(
    child: &mut Child,
    log: &InstallerLog,
    limit: Duration,
) -> Option<io::Result<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match timeout(left.min(LOG_CHECK), child.wait()).await {
            Ok(ended) => return Some(ended),
            Err(_) if Instant::now() >= end => return None,
            Err(_) => log.bound(),
        }
    }
}

fn judge(status: ExitStatus, by_shell: bool) -> Outcome {
    match (status.code(), status.signal()) {
        // With these the shell says that it found nothing it could run.
        (Some(126 | 127), _) if by_shell => Outcome::Failed("it is no program".to_owned()),
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Failed(format!("it was killed by signal {signal}")),
        (None, None) => Outcome::Failed(format!("it ended strangely: {status}")),
    }
}
