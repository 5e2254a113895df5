//! Who has a file open for writing, found in `/proc`: the reason why a program cannot
//! be run. Only for a word: it may have changed when it is read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::descent::{MOST_NAMED, name, numbers};

/// `NAME (ID)` of those that have the file open for writing and that this user may
/// look at.
pub(super) fn of(path: &Path) -> String {
    let Ok(about) = fs::metadata(path) else {
        return String::new();
    };
    let found = numbers(Path::new("/proc"))
        .filter(|pid| writes(*pid, (about.dev(), about.ino())))
        .take(MOST_NAMED);
    found.map(name).collect::<Vec<_>>().join(", ")
}

fn writes(pid: i32, file: (u64, u64)) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    numbers(&process.join("fd")).any(|descriptor| {
        let descriptor = descriptor.to_string();
        let same = fs::metadata(process.join("fd").join(&descriptor))
            .is_ok_and(|about| (about.dev(), about.ino()) == file);
        same && fs::read_to_string(process.join("fdinfo").join(&descriptor))
            .is_ok_and(|text| for_writing(&text))
    })
}

/// Whether `fdinfo` tells of a descriptor that can write: its flags are octal, and
/// their last two bits say how it was opened.
fn for_writing(text: &str) -> bool {
    text.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0o3 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_writes_is_told_from_one_that_reads() {
        for (flags, writes) in [("0100000", false), ("0100001", true), ("02", true)] {
            let text = format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t29\n");
            assert_eq!(for_writing(&text), writes, "{flags}");
        }
        assert!(!for_writing(""));
        assert!(!for_writing("flags:\tx\n"));
    }
}
