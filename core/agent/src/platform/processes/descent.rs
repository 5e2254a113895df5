//! All that descends from this process, found in `/proc`, and its end. As this process
//! is a subreaper, nothing an installer starts can leave its descent.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, getpid, kill_process};
use wpk_api::words::clean;

/// Processes that are named at most.
pub(super) const MOST_NAMED: usize = 10;
/// Rounds of stopping; each finds what was begun during the one before.
const ROUNDS: usize = 20;

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
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // One that has just ended, or that is not ours to end.
        let _ = kill_process(pid, signal);
    }
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
pub(super) fn ticks(pid: u32) -> Option<u64> {
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
