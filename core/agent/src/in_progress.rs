//! The note by which installers of 4.x packages say that they work:
//! `var/upgrade/upgrade_in_progress_pid`, the id of a process. It is not ours to keep, and
//! a process that ended without removing it, one that got its number later, or a service
//! that goes on with it, must not shut the agent off: `state` enters.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::platform::processes;
use crate::result::read_small;

/// The name, beside the result.
pub(crate) const NAME: &str = "upgrade_in_progress_pid";
/// No id is longer than this, in bytes.
const LONGEST: u64 = 16;
/// A process is told to have begun, and a file to have been written, no more exactly.
const ABOUT: Duration = Duration::from_secs(2);

/// The file.
#[derive(Debug)]
pub(crate) struct InProgress(PathBuf);

impl InProgress {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The process that works according to it: it lives, began before it was written
    /// down, and that was not longer ago than `within`.
    pub(crate) fn process(&self, within: Duration) -> Option<u32> {
        let text = read_small(&self.0, LONGEST).ok()?;
        let id = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
        let written = fs::symlink_metadata(&self.0).ok()?.modified().ok()?;
        let began = processes::began(id)?;
        // A file from the future is as good as one of now.
        let age = SystemTime::now()
            .duration_since(written)
            .unwrap_or_default();
        (began <= written + ABOUT && age <= within).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn only_a_process_that_may_have_written_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let note = InProgress::new(path.clone());
        assert_eq!(note.process(LONG), None);
        let own = std::process::id();
        for text in [format!("{own}"), format!(" {own}\n")] {
            fs::write(&path, text).unwrap();
            assert_eq!(note.process(LONG), Some(own));
        }
        let written = |age: u64| {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age))
                .unwrap();
        };
        written(3_600);
        assert_eq!(note.process(LONG * 1_000), None, "it began later");
        fs::write(&path, "1").unwrap();
        assert_eq!(note.process(LONG), Some(1));
        written(61);
        assert_eq!(note.process(LONG), None, "too long ago");
        for text in [
            "",
            "\n",
            "0",
            "-1",
            "x",
            "1 2",
            "4194305",
            "2147483648",
            "4294967297",
            "99999999999999999999",
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(note.process(LONG), None, "{text:?}");
        }
        fs::remove_file(&path).unwrap();
        crate::platform::files::make_pipe(&path);
        assert_eq!(note.process(LONG), None, "a pipe");
    }

    #[test]
    fn a_dead_process_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        // Ended, and first not even waited for.
        while processes::began(id).is_some() {
            std::thread::yield_now();
        }
        fs::write(&path, format!("{id}\n")).unwrap();
        assert_eq!(InProgress::new(path.clone()).process(LONG), None);
        child.wait().unwrap();
        assert_eq!(InProgress::new(path).process(LONG), None);
    }
}
