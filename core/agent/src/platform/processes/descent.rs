//! All that descends from this process, found in `/proc`, and its end. As this process
//! is a subreaper, nothing an installer starts can leave its descent.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};
use wpk_api::words::clean;

/// Processes that are named at most.
pub(super) const MOST_NAMED: usize = 10;
/// Rounds of stopping; each finds what was begun during the one before.
const ROUNDS: usize = 20;
/// Generations that are followed upwards.
const MOST_ABOVE: usize = 100_000;

/// Stops all, so that none can begin another, then kills all.
pub(super) fn kill_all() {
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS {
        let before = stopped.len();
        for pid in descendants() {
            if stopped.insert(pid) {
                signal(pid, Signal::STOP);
            }
        }
        if stopped.len() == before {
            break;
        }
    }
    for pid in descendants() {
        signal(pid, Signal::KILL);
    }
}

/// This process.
pub(super) fn own_id() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// `NAME (ID)`.
pub(super) fn name(pid: i32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    // A process chooses its name itself.
    let name = String::from_utf8_lossy(&name);
    format!("{} ({pid})", clean(name.trim_end(), 32))
}

/// The entries of a folder whose names are numbers.
pub(super) fn numbers(folder: &Path) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A file with one number a line; what is none is passed over.
pub(super) fn lines_of_numbers(file: &Path) -> Vec<i32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // 0 is one that this process does not see.
    let numbers = text.lines().filter_map(|line| line.parse().ok());
    numbers.filter(|number| *number > 0).collect()
}

/// To one that was seen among the descendants. It may have ended since, and its number be
/// somebody else's.
fn signal(pid: i32, signal: Signal) {
    let Some(raw) = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return;
    };
    match pidfd_open(raw, PidfdFlags::empty()) {
        // Whoever that is stays the one that is meant, so now it can be looked at.
        Ok(held) if descends(pid) => {
            // One that has just ended, or that is not ours to end.
            let _ = pidfd_send_signal(held, signal);
        }
        Err(Errno::NOSYS) if descends(pid) => {
            let _ = kill_process(raw, signal);
        }
        _ => {}
    }
}

/// Whether a process came of this one.
fn descends(pid: i32) -> bool {
    let parent = |pid: i32| living_parent(&fs::read(format!("/proc/{pid}/stat")).ok()?);
    let above = std::iter::successors(parent(pid), |pid| parent(*pid));
    above.take(MOST_ABOVE).any(|pid| pid == own_id())
}

pub(super) fn descendants() -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in numbers(Path::new("/proc")) {
        if let Some(parent) = fs::read(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| living_parent(&stat))
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![own_id()];
    while let Some(pid) = open.pop() {
        if let Some(of) = children.remove(&pid) {
            found.extend(&of);
            open.extend(of);
        }
    }
    found
}

/// When the process began, in ticks since the system did; `None` where none of this
/// number lives.
pub(crate) fn ticks(pid: u32) -> Option<u64> {
    living(&fs::read(format!("/proc/{pid}/stat")).ok()?, 22 - 3)
}

/// The parent in a line of `/proc/ID/stat`.
fn living_parent(stat: &[u8]) -> Option<i32> {
    living(stat, 4 - 3)
}

/// What stands in a line of `/proc/ID/stat`, so far behind the state; `None` for a process
/// that is dead already. A name may hold anything, also brackets.
fn living<T: std::str::FromStr>(stat: &[u8], at: usize) -> Option<T> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let dead = matches!(words.first(), None | Some(&("Z" | "X")));
    words.get(at)?.parse().ok().filter(|_| !dead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn only_what_came_of_this_process_is_signalled() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        assert!(descends(id) && descendants().contains(&id));
        for other in [own_id(), 1, 0, -1, i32::MAX] {
            assert!(!descends(other), "{other}");
            // Would end this test.
            signal(other, Signal::KILL);
        }
        signal(id, Signal::KILL);
        assert!(!child.wait().unwrap().success());
        assert!(!descends(id));
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(living_parent(b"7 (sh) S 5 7 7 0"), Some(5));
        assert_eq!(living_parent(b"7 (a) Z 1 (b)) R 6 7"), Some(6));
        assert_eq!(living_parent(b"7 (\xff) S 5"), Some(5));
        assert_eq!(living_parent(b"7 (sh) Z 5 7 7 0"), None);
        assert_eq!(living_parent(b""), None);
        assert_eq!(living_parent(b"7 (sh)"), None);
    }
}
