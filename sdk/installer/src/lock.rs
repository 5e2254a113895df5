//! The lock of `var/installer`: whoever holds it is at work on the home.
//!
//! A process that was just forked has a copy of its parent's descriptors until it runs its
//! own program, and a copy holds the lock, also when the parent was killed meanwhile. So
//! one that finds it taken waits a moment before it believes that somebody is at work.

use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Longer than a process takes from its start to its program, on a busy machine.
const MOMENT: Duration = Duration::from_secs(2);

/// Held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes it; `None` where somebody has it for longer than a moment.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn take(file: File) -> std::io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        let (sender, taken) = mpsc::channel();
        let waiting = thread::Builder::new().spawn(move || {
            // Given back at once where nobody listens any more.
            let _ = sender.send(Self::wait(file));
        });
        waiting?;
        match taken.recv_timeout(MOMENT) {
            Ok(taken) => taken.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Takes it as soon as nobody has it.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn wait(file: File) -> std::io::Result<Self> {
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not only closed: of this file, too, a child may have a copy.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> File {
        File::create(folder.path().join("lock")).unwrap()
    }

    #[test]
    fn a_copy_that_goes_soon_is_nobody_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let held = open(&folder);
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let copy = held.try_clone().unwrap();
        drop(held);
        let (begun, begins) = mpsc::channel();
        let taking = thread::spawn({
            let file = open(&folder);
            move || {
                begun.send(()).unwrap();
                Lock::take(file).unwrap().is_some()
            }
        });
        begins.recv().unwrap();
        drop(copy);
        assert!(taking.join().unwrap());
    }

    #[test]
    fn who_keeps_it_is_at_work_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(open(&folder)).unwrap().unwrap();
        assert!(Lock::take(open(&folder)).unwrap().is_none());
        let copy = held.0.try_clone().unwrap();
        drop(held);
        assert!(Lock::take(open(&folder)).unwrap().is_some());
        drop(copy);
    }
}
