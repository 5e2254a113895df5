//! Files: opened without following links, held, locked, and who may write them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// How to open a file that is not reached through a link, and at which nothing waits
/// (the open of a pipe would). One that is made gets `mode`.
pub(crate) fn unlinked(mode: u32) -> OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.mode(mode).custom_flags(flags.bits().cast_signed());
    options
}

/// Whether an open file has no name any more.
pub(crate) fn is_gone(file: &File) -> bool {
    file.metadata().is_ok_and(|about| about.nlink() == 0)
}

/// Whether somebody holds a lock on the file, shared or not.
///
/// # Errors
/// Those of opening and of locking.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    let file = unlinked(0).read(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
