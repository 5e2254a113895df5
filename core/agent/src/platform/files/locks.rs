//! Locks of files, and who holds one, without touching it: to try it would, for that
//! moment, keep away the one whose it is. The kernel lists all of them in `/proc/locks`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::about;

const LOCKS: &str = "/proc/locks";

/// Longer than a process takes from being killed to its end, or from its start to its own
/// program, on a busy machine.
const MOMENT: Duration = Duration::from_secs(2);

/// Locks the file for as long as it is open; `None` where somebody has it for longer than
/// a moment. A process that was killed holds its locks until the last of its threads has
/// ended, and one that was just forked has copies of its parent's until it runs its own
/// program: neither is anybody at work. Blocks.
///
/// # Errors
/// Those of the system.
pub(crate) fn lock(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => return Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let (sender, locked) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let locked = file.lock().map(|()| file);
        // Given back at once where nobody listens any more.
        let _ = sender.send(locked);
    })?;
    match locked.recv_timeout(MOMENT) {
        Ok(locked) => locked.map(Some),
        Err(_) => Ok(None),
    }
}

/// The process that locked this file; it may have ended and left the lock to another.
/// `None`: nobody holds it, or that cannot be seen.
pub(crate) fn holder(file: &Path) -> Option<u32> {
    let (_, inode) = about(file).ok()?.identity;
    of_inode(&fs::read_to_string(LOCKS).ok()?, inode)
}

/// Lines such as `1: FLOCK  ADVISORY  WRITE 700 08:01:1234 0 EOF`; one that waits has
/// `->` after its number. The device is not what `stat` tells on every file system.
fn of_inode(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, place, ..] => {
                let (_, of) = place.rsplit_once(':')?;
                (of.parse() == Ok(inode)).then(|| pid.parse().ok())?
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 700 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  READ 701 08:01:78 0 EOF\n";
        assert_eq!(of_inode(locks, 77), Some(700));
        assert_eq!(of_inode(locks, 78), None, "it waits");
        assert_eq!(of_inode(locks, 7), None);
    }

    #[test]
    fn a_lock_that_is_given_back_soon_is_waited_for() {
        let there = tempfile::NamedTempFile::new().unwrap();
        let held = lock(File::open(there.path()).unwrap()).unwrap().unwrap();
        let other = File::open(there.path()).unwrap();
        assert!(lock(other).unwrap().is_none(), "somebody is at work");
        let (begun, begins) = mpsc::channel();
        let other = File::open(there.path()).unwrap();
        let waiting = thread::spawn(move || {
            begun.send(()).unwrap();
            lock(other).unwrap().is_some()
        });
        begins.recv().unwrap();
        drop(held);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_lock_is_seen_while_it_is_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holder(file.path()), None);
        file.as_file().lock().unwrap();
        assert_eq!(holder(file.path()), Some(std::process::id()));
        file.as_file().unlock().unwrap();
        assert_eq!(holder(file.path()), None);
    }
}
