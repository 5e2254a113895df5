//! Commands that an installer runs: to stop and start what it upgrades, and to
//! see whether it is healthy. Each has a time limit, at which its whole process
//! group is killed.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::background;
use crate::error::InstallError;
use crate::guard;
use crate::place::plain;

/// What a command gets when its author gives no limit.
const LIMIT: Duration = Duration::from_secs(60);
/// How soon a program that cannot be run yet is tried again.
const AGAIN: Duration = Duration::from_millis(25);

/// A program and its arguments. A program with a `/` starts at the home, unless
/// absolute; one without is looked for in `PATH`. It runs in the home, reads
/// nothing, and prints into the installer's log.
///
/// ```
/// # use std::time::{Duration, Instant};
/// use wpk_installer::Command;
/// let restart = Command::new("systemctl").arg("restart").arg("sensor");
/// let version = Command::from(["bin/sensor", "--version"]).limit(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) words: Vec<String>,
    pub(crate) limit: Duration,
}

impl Command {
    /// A program without arguments and with a limit of 60 s.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            words: vec![program.into()],
            limit: LIMIT,
        }
    }

    /// One argument more.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.words.push(argument.into());
        self
    }

    /// Its time limit, in whole seconds, at least one.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Duration::from_secs(limit.as_secs().max(1));
        self
    }

    /// A journal keeps it as one line of fields.
    pub(crate) fn check(&self) -> Result<(), InstallError> {
        let good = self.words.first().is_some_and(|program| plain(program))
            && self
                .words
                .iter()
                .all(|word| !word.chars().any(char::is_control));
        if good {
            Ok(())
        } else {
            Err(InstallError::Command(self.to_string()))
        }
    }

    /// Runs it to its end, for at most `limit` or its own limit. `Err` says why
    /// it did not end with status 0.
    pub(crate) fn run(&self, home: &Path, limit: Duration) -> Result<(), String> {
        let limit = limit.min(self.limit);
        let end = Instant::now() + limit;
        let mut child = self
            .spawn(home, || {
                thread::sleep(AGAIN);
                Instant::now() < end
            })
            .map_err(|error| format!("{self}: cannot be started: {error}"))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(group) = group else {
            return Err(format!("{self}: has no process id"));
        };
        let (ended, exit) = mpsc::channel();
        // It looks without reaping, so that the group's number stays taken.
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(group), options) {}
            // Nobody listens any more after the time limit.
            let _ = ended.send(());
        });
        let in_time = exit
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .is_ok();
        if !in_time {
            // It may have ended just now; reaping tells.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = child
            .wait()
            .map_err(|error| format!("{self}: cannot be waited for: {error}"))?;
        if !in_time {
            return Err(format!("{self}: ran longer than {limit:?} and was killed"));
        }
        if status.success() {
            Ok(())
        } else {
            Err(format!("{self}: ended with {status}"))
        }
    }

    /// A program that was written a moment ago may still be open for writing in a
    /// process that was forked meanwhile, until that runs its own: then it cannot be run
    /// yet, and is tried as long as `again`, which waits a little, says so.
    fn spawn(&self, home: &Path, mut again: impl FnMut() -> bool) -> io::Result<Child> {
        use std::os::unix::process::CommandExt;
        let (program, arguments) = self.words.split_first().ok_or(rustix::io::Errno::INVAL)?;
        let program: OsString = if program.contains('/') {
            home.join(program).into()
        } else {
            program.into()
        };
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .current_dir(home)
            .env_remove(background::MARK)
            .env_remove(guard::MARK)
            .stdin(Stdio::null())
            .process_group(0);
        loop {
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && again() => {}
                spawned => return spawned,
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.words.join(" "))
    }
}

impl<const N: usize> From<[&str; N]> for Command {
    fn from(words: [&str; N]) -> Self {
        Self {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            limit: LIMIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn status_and_limit_decide() {
        let home = tempfile::tempdir().unwrap();
        let run = |script: &str, limit| Command::from(["sh", "-c", script]).run(home.path(), limit);
        run("exit 0", LONG).unwrap();
        run(
            "test \"$(pwd -P)\" = \"$(cd . && pwd -P)\" && test ! -t 0",
            LONG,
        )
        .unwrap();
        assert!(run("exit 3", LONG).unwrap_err().contains("exit status: 3"));
        assert!(run("kill -9 $$", LONG).unwrap_err().contains("signal: 9"));
        let late = run("sleep 100 & sleep 100", Duration::from_millis(50));
        assert!(late.unwrap_err().contains("killed"));
        assert!(
            Command::new("no-such-program")
                .run(home.path(), LONG)
                .is_err()
        );
        assert!(Command::from([]).run(home.path(), LONG).is_err());
    }

    #[test]
    fn programs_with_a_slash_start_at_the_home() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", home.path().join("bin/mine")).unwrap();
        Command::from(["bin/mine", "-c", "exit 0"])
            .run(home.path(), LONG)
            .unwrap();
    }

    #[test]
    fn a_program_that_is_still_open_for_writing_is_waited_for() {
        use std::io::{BufRead, BufReader};
        let home = tempfile::tempdir().unwrap();
        // Another process writes it: tests beside this one fork.
        let script = "exec 9>program; printf '#!/bin/sh\nexit 0\n' >&9; chmod 700 program\n\
            echo held; read line";
        let mut holder = std::process::Command::new("sh")
            .args(["-c", script])
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let command = Command::new("./program");
        let error = command.run(home.path(), Duration::from_millis(50));
        assert!(error.unwrap_err().contains("Text file busy"));
        let mut tries = 0;
        let mut child = command
            .spawn(home.path(), || {
                tries += 1;
                if tries == 3 {
                    // It ends by that, soon.
                    drop(holder.stdin.take());
                }
                tries < 1_000
            })
            .unwrap();
        holder.wait().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(tries >= 3, "{tries}");
    }

    #[test]
    fn what_a_journal_cannot_keep_is_refused() {
        assert!(Command::from(["a", "b\nc"]).check().is_err());
        assert!(Command::from([""]).check().is_err());
        Command::from(["a", ""]).check().unwrap();
    }
}
