//! The process between the agent and an installer: `wpk-agent run-installer`, which
//! the agent starts from its own program (`installer.rs`). It outlives the agent,
//! which most installers restart, and so it is the one who
//!
//! - takes what installers print, through a pipe, into a log that stays within its limit;
//! - is the parent of everything the installer leaves running (a subreaper), also of
//!   what began a session of its own, so that the time limit ends all of it; at once
//!   where there can be a control group for it;
//! - holds the lock that says that an installer runs (`running.rs`), for as long as
//!   anything of it lives, up to a longest time, and another (`lives.rs`) until nothing
//!   of it lives that may still write a result.
//!
//! Its standard input is the locked file; on standard output it says, in a line each,
//! by what it will end the installer and how the installer's first process ended.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::installer_log::InstallerLog;
use crate::lives;
use crate::platform::files;
use crate::platform::processes::{self, End, Family, ProcessId};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long an installer that somebody still has open for writing is waited for, of its
/// time limit.
const BUSY: Duration = Duration::from_secs(10);
/// How long what was killed may take to be gone.
const REAP: Duration = Duration::from_secs(5);
/// How long a stopped or killed process may be in coming before it is looked again.
const AGAIN: Duration = Duration::from_millis(100);
/// How often it is looked whether anybody still waits for a result.
const LOOK: Duration = Duration::from_secs(10);
/// What is read of an installer's output at a time, in bytes.
const BLOCK: usize = 8 * 1024;

/// What a supervisor is to do. The agent writes it as a command line.
#[derive(Debug, Clone, clap::Args)]
pub struct Order {
    /// The working directory, and `HOME`.
    #[arg(long)]
    pub folder: PathBuf,
    /// What the log calls the installer.
    #[arg(long)]
    pub label: String,
    /// The log.
    #[arg(long)]
    pub log: PathBuf,
    /// Its limit in bytes.
    #[arg(long)]
    pub log_limit: u64,
    /// The time limit of the first process, in milliseconds.
    #[arg(long)]
    pub limit: u64,
    /// How long the lock is held at most, in milliseconds.
    #[arg(long)]
    pub within: u64,
    /// The file that is locked while anything of the installer lives (`lives.rs`).
    #[arg(long)]
    pub life: Option<PathBuf>,
    /// The installer.
    pub program: PathBuf,
}

/// How an installer ended, as its supervisor tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this status.
    Exited(i32),
    /// Not at all well; code 18.
    Failed {
        /// For the log.
        reason: String,
        /// What could not be ended, if anything.
        left: String,
    },
}

impl Outcome {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
            left: String::new(),
        }
    }
}

/// A line of a supervisor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The installer has a control group, at this path.
    Group(String),
    /// It has none, for this reason.
    NoGroup(String),
    /// How it ended.
    Ended(Outcome),
}

impl Said {
    fn to_line(&self) -> String {
        let plain = |text: &str| text.replace(['\t', '\n'], " ");
        match self {
            Self::Group(path) => format!("group\t{}\n", plain(path)),
            Self::NoGroup(reason) => format!("no group\t{}\n", plain(reason)),
            Self::Ended(Outcome::Exited(status)) => format!("exited\t{status}\n"),
            Self::Ended(Outcome::Failed { reason, left }) => {
                format!("failed\t{}\t{}\n", plain(reason), plain(left))
            }
        }
    }

    /// Reads a line; `None` where it is none.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_suffix('\n')?.split('\t').collect();
        Some(match words.as_slice() {
            ["group", path] => Self::Group((*path).to_owned()),
            ["no group", reason] => Self::NoGroup((*reason).to_owned()),
            ["exited", status] => Self::Ended(Outcome::Exited(status.parse().ok()?)),
            ["failed", reason, left] => Self::Ended(Outcome::Failed {
                reason: (*reason).to_owned(),
                left: (*left).to_owned(),
            }),
            _ => return None,
        })
    }
}

/// Runs an installer to its end, and what it leaves behind to theirs.
pub fn supervise(order: &Order) {
    let begin = Instant::now();
    let limit = Duration::from_millis(order.limit);
    // Not begun where nobody would know that it lives.
    let life = order.life.as_deref().map(lives::hold).transpose();
    let started = life.and_then(|life| Ok((start(order, limit.min(BUSY))?, life)));
    let ((family, output), life) = match started {
        Ok(started) => started,
        Err(error) => {
            let reason = format!("it cannot be started: {error}");
            return say(&Said::Ended(Outcome::failed(reason)));
        }
    };
    say(&match family.group() {
        Ok(path) => Said::Group(path.display().to_string()),
        Err(error) => Said::NoGroup(error.to_string()),
    });
    let log = InstallerLog::new(order.log.clone(), order.log_limit);
    let label = order.label.clone();
    let printing = thread::spawn(move || pump(output, &log, &label));
    let (sender, ended) = channel();
    thread::spawn(move || {
        // Ends when nothing is left to be waited for.
        while let Some(one) = processes::next_end() {
            if sender.send(one).is_err() {
                return;
            }
        }
    });
    let outcome = first_end(&family, &ended, begin + limit, limit);
    if !family.lives() {
        // Before the word: whoever hears it may begin the next at once.
        release();
    }
    say(&Said::Ended(outcome));
    let end = begin + Duration::from_millis(order.within);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait = if left.is_zero() { LOOK } else { left };
        if ended.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        if Instant::now() >= end {
            release();
            // It may still write a result, unless that was delivered.
            if life.as_ref().is_none_or(files::is_gone) {
                break;
            }
        }
    }
    drop(life);
    // Whoever still prints needs this process.
    let _ = printing.join();
}

/// Starts the installer with nothing of our environment.
fn start(order: &Order, busy: Duration) -> io::Result<(Family, PipeReader)> {
    let mut command = Command::new(&order.program);
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &order.folder)
        .env("LC_ALL", "C")
        .current_dir(&order.folder);
    Family::start(&mut command, busy)
}

/// Waits for the first process; at the time limit ends it and all that came of it.
fn first_end(
    family: &Family,
    ended: &Receiver<(ProcessId, End)>,
    end: Instant,
    limit: Duration,
) -> Outcome {
    loop {
        match ended.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((id, how)) if id == family.first => return judge(how),
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Outcome::failed("its end was not told by the system");
            }
            Err(RecvTimeoutError::Timeout) => {
                let ran = family.names();
                return Outcome::Failed {
                    reason: format!("it ran longer than {limit:?} and was killed: {ran}"),
                    left: kill_all(family, ended),
                };
            }
        }
    }
}

fn judge(how: End) -> Outcome {
    match how {
        End::Status(status) => Outcome::Exited(status),
        End::Otherwise(reason) => Outcome::failed(reason),
    }
}

/// Kills until nothing is left; what is left after all, by name.
fn kill_all(family: &Family, ended: &Receiver<(ProcessId, End)>) -> String {
    let end = Instant::now() + REAP;
    while Instant::now() < end {
        family.kill();
        let again = Instant::now() + AGAIN;
        loop {
            match ended.recv_timeout(again.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return String::new(),
            }
        }
    }
    family.names()
}

/// Nothing of the installer is to hold the next one back. The lock goes with this
/// process too, so a failure does no more than delay that.
fn release() {
    let _ = processes::inherited().and_then(|lock| File::unlock(&lock));
}

/// Nobody may listen any more: the installer has ended the agent.
fn say(said: &Said) {
    let mut out = io::stdout();
    let _ = out.write_all(said.to_line().as_bytes());
    let _ = out.flush();
}

/// Takes what is printed, to its end: an installer must never be held up by its log.
fn pump(mut output: PipeReader, log: &InstallerLog, label: &str) {
    let mut file = log.open(label).ok();
    let mut block = vec![0; BLOCK];
    loop {
        match output.read(&mut block) {
            Ok(0) => return,
            Ok(n) => {
                if let Some(open) = &mut file
                    && log.write(open, block.get(..n).unwrap_or_default()).is_err()
                {
                    file = None;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_and_nothing_else() {
        let failed = |reason: &str, left: &str| {
            Said::Ended(Outcome::Failed {
                reason: reason.to_owned(),
                left: left.to_owned(),
            })
        };
        let cut = failed("too\tlong\n", "sleep (7)").to_line();
        assert_eq!(
            Said::from_line(&cut),
            Some(failed("too long ", "sleep (7)"))
        );
        for said in [
            Said::Group("/sys/fs/cgroup/wpk-installer-7".to_owned()),
            Said::NoGroup("Permission denied".to_owned()),
            Said::Ended(Outcome::Exited(0)),
            Said::Ended(Outcome::Exited(255)),
            Said::Ended(Outcome::failed("x")),
        ] {
            assert_eq!(Said::from_line(&said.to_line()), Some(said));
        }
        for none in ["", "exited\n", "exited\tx\n", "failed\tx\n", "exited\t0"] {
            assert_eq!(Said::from_line(none), None, "{none:?}");
        }
    }
}
