//! Which process this is, and whether another of this machine has ended: a daemon that
//! was killed must not wait for its own lease.

use std::fs;
use std::path::Path;

use wpk_api::Holder;

/// The longest text of a holder, in bytes.
const LONGEST: usize = 255;

/// This process.
pub(super) fn this() -> Holder {
    let process = std::process::id();
    Holder {
        host: first_line("/proc/sys/kernel/hostname").unwrap_or_default(),
        machine: machine().unwrap_or_default(),
        process,
        started: started(process).unwrap_or_default(),
    }
}

/// Whether it is sure that this process ended: it was one of this start of this machine
/// and of this space of processes, and is not there, or its number is another's.
pub(super) fn has_ended(holder: &Holder) -> bool {
    let known = !holder.machine.is_empty() && !holder.started.is_empty();
    if !known || machine().as_ref() != Some(&holder.machine) {
        return false;
    }
    match started(holder.process) {
        Some(started) => started != holder.started,
        // What cannot be read may be there all the same.
        None => !Path::new(&format!("/proc/{}", holder.process)).exists(),
    }
}

/// Which start of which machine, and which space of processes on it.
fn machine() -> Option<String> {
    let boot = first_line("/proc/sys/kernel/random/boot_id")?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot} {}", space.to_str()?))
}

/// When a process started, in ticks since the machine's start.
fn started(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything: field 22 counts from behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

fn first_line(file: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().next()?.trim();
    let end = (0..=line.len().min(LONGEST))
        .rev()
        .find(|end| line.is_char_boundary(*end))?;
    Some(line[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_not_ended_and_one_that_is_gone_has() {
        let this = this();
        assert!(!this.machine.is_empty() && !this.started.is_empty());
        assert!(!has_ended(&this));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let gone = Holder {
            process: child.id(),
            started: "1".into(),
            ..this.clone()
        };
        assert!(has_ended(&gone));
        // Its number is this process's by now.
        let again = Holder {
            started: "1".into(),
            ..this
        };
        assert!(has_ended(&again));
    }

    #[test]
    fn nothing_is_said_of_another_machine() {
        let elsewhere = Holder {
            machine: "another start".into(),
            started: "1".into(),
            ..this()
        };
        assert!(!has_ended(&elsewhere));
        assert!(!has_ended(&Holder::default()));
    }
}
