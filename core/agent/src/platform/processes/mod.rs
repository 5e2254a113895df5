//! Processes: starting an installer, being the parent of all that comes of it, ending
//! all of that. The supervisor enters, and `installer` starts the supervisor here.

mod cgroup;
mod descent;
mod writers;

use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait};

pub(crate) use cgroup::Group;
pub(crate) use descent::ticks;
use descent::{MOST_NAMED, descendants, name};

/// This very program, also when another was put in its place.
pub(crate) const SELF: &str = "/proc/self/exe";
/// How soon a program that cannot be run yet is tried again.
const AGAIN: Duration = Duration::from_millis(25);

/// A process, as the system numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId(i32);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With this status.
    Status(i32),
    /// In another way: what the system says of it.
    Otherwise(String),
}

/// An installer and all that came of it, as its parent sees it.
#[derive(Debug)]
pub(crate) struct Family {
    /// Of its first process.
    pub(crate) first: ProcessId,
    group: io::Result<Group>,
}

impl Family {
    /// Starts `command` in a process group of its own, with nothing to read and all its
    /// output in the pipe that is returned; in a control group of its own where there can
    /// be one. This process must have no other thread yet. A program that is open for
    /// writing is waited for `within` this time.
    ///
    /// # Errors
    /// Those of the system; of a file that stays open, with the processes that have it
    /// so. Only what the kernel runs is run: a text without `#!` is no program, whatever
    /// shells make of it.
    pub(crate) fn start(command: &mut Command, within: Duration) -> io::Result<(Self, PipeReader)> {
        // Without it only the process group could be watched and ended.
        adopt_orphans()?;
        let begin = Instant::now();
        let mut start = || {
            start_when_free(command, || {
                thread::sleep(AGAIN);
                begin.elapsed() < within
            })
        };
        let (started, group) = match Group::make() {
            Ok((group, own)) => {
                let (started, moved) = group.while_in(&own, &mut start);
                (started, moved.map(|()| group))
            }
            Err(error) => (start(), Err(error)),
        };
        let (first, output) = started?;
        Ok((Self { first, group }, output))
    }

    /// The path of its control group, or why it has none.
    pub(crate) fn group(&self) -> Result<&Path, &io::Error> {
        self.group.as_ref().map(Group::path)
    }

    /// Whether anything of it lives.
    pub(crate) fn lives(&self) -> bool {
        !self.members().is_empty()
    }

    /// Kills all of it, as far as it is seen.
    pub(crate) fn kill(&self) {
        if let Ok(group) = &self.group {
            // What is left is found by descent.
            let _ = group.kill();
        }
        descent::kill_all();
    }

    /// `NAME (ID)` of what lives.
    pub(crate) fn names(&self) -> String {
        let named = self.members().into_iter().take(MOST_NAMED).map(name);
        named.collect::<Vec<_>>().join(", ")
    }

    fn members(&self) -> Vec<i32> {
        let mut members = descendants();
        if let Ok(group) = &self.group {
            members.extend(group.members());
            members.sort_unstable();
            members.dedup();
        }
        members
    }
}

/// From now on whatever loses its parent among what this process starts gets this
/// process as its parent.
///
/// # Errors
/// Those of the system.
fn adopt_orphans() -> io::Result<()> {
    set_child_subreaper(Some(getpid())).map_err(Into::into)
}

/// Has a command start as the first of a group, which is not reached by what is meant
/// for this process's.
pub(crate) fn in_its_own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// A program that somebody still has open for writing cannot be run. None of ours has
/// when it comes to that; a process that was forked meanwhile may still hold a copy of
/// our descriptor until it runs its own program, which is a matter of milliseconds. So
/// it is tried as long as `again`, which waits a little, says so.
fn start_when_free(
    command: &mut Command,
    mut again: impl FnMut() -> bool,
) -> io::Result<(ProcessId, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    in_its_own_group(command)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    loop {
        let error = match command.spawn() {
            Ok(child) => {
                let id = i32::try_from(child.id());
                let id = id.map_err(|_| io::Error::other("it has no process id"))?;
                // What is in it would keep the pipe open.
                command.stdout(Stdio::null()).stderr(Stdio::null());
                return Ok((ProcessId(id), reader));
            }
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::TXTBSY) if again() => {}
            Some(Errno::TXTBSY) => return Err(busy(Path::new(command.get_program()))),
            Some(Errno::NOEXEC) => {
                let text = "it is no program: a script begins with #! and its interpreter";
                return Err(io::Error::other(text));
            }
            _ => return Err(error),
        }
    }
}

fn busy(program: &Path) -> io::Error {
    let by = writers::of(program);
    let by = if by.is_empty() {
        "a process that cannot be named".to_owned()
    } else {
        by
    };
    io::Error::other(format!(
        "it is still open for writing by {by}: whoever writes it must close it first"
    ))
}

/// Waits for the next end of a child; `None` when there is no child any more.
pub(crate) fn next_end() -> Option<(ProcessId, End)> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => return Some((ProcessId(raw(pid)), end(status))),
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Status(code),
        (None, Some(signal)) => End::Otherwise(format!("it was killed by signal {signal}")),
        (None, None) => End::Otherwise(format!("it ended strangely: {status:?}")),
    }
}

fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}

/// When a process began, by the system's clock; `None` where none of this number lives.
pub(crate) fn began(id: u32) -> Option<SystemTime> {
    let ticks = ticks(id)?;
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let up = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let since = Duration::from_secs(up.trim().parse().ok()?);
    let milliseconds = ticks.checked_mul(1_000)? / clock_ticks_per_second().max(1);
    SystemTime::UNIX_EPOCH.checked_add(since.checked_add(Duration::from_millis(milliseconds))?)
}

/// The file that this process got as its standard input.
///
/// # Errors
/// No further descriptor can be had.
pub(crate) fn inherited() -> io::Result<std::fs::File> {
    io::stdin().as_fd().try_clone_to_owned().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Child;

    /// A program, and a process that has it open for writing until it is told to end.
    /// It, not this process, writes the program: other tests fork meanwhile.
    fn held(dir: &Path) -> (Command, Child) {
        let program = dir.join("program");
        let script = "exec 9>\"$0\"; printf '#!/bin/sh\\necho it runs\\n' >&9\n\
            chmod 700 \"$0\"; echo held; read line";
        let mut holder = Command::new("sh")
            .args(["-c", script])
            .arg(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap())
            .read_line(&mut said)
            .unwrap();
        assert_eq!(said, "held\n");
        (Command::new(program), holder)
    }

    #[test]
    fn a_program_that_is_still_open_for_writing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, mut holder) = held(dir.path());
        let mut tries = 0;
        let (id, mut output) = start_when_free(&mut command, || {
            tries += 1;
            // Longer than half a second, which is what it once was.
            if tries == 100 {
                holder.stdin.take().unwrap().write_all(b"\n").unwrap();
                holder.wait().unwrap();
            }
            tries < 1_000
        })
        .unwrap();
        assert_eq!(tries, 100);
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(said, "it runs\n");
        let pid = Pid::from_raw(id.0).unwrap();
        rustix::process::waitpid(Some(pid), WaitOptions::empty()).unwrap();
    }

    #[test]
    fn who_holds_it_open_is_told_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, mut holder) = held(dir.path());
        let error = start_when_free(&mut command, || false).unwrap_err();
        let holder_is = format!("sh ({})", holder.id());
        assert!(error.to_string().contains(&holder_is), "{error}");
        drop(holder.stdin.take());
        holder.wait().unwrap();
    }
}
