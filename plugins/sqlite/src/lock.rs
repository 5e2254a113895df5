//! One daemon has a task file: two that carry out the same tasks would deliver them twice.
//! A file beside it is locked for as long as the store is open and says who has it, so
//! that the second is told. The database itself has locks of SQLite's own, which other
//! programs of a manager may take.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use wpk_api::StoreError;
use wpk_api::words::clean;

/// Behind the name of the file.
const END: &str = ".owner";
/// The longest description of an owner, in bytes.
const LONGEST: usize = 256;

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// Somebody has it, who is named; or the file cannot be written.
    pub(crate) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database);
        let unusable = |error: std::io::Error| {
            StoreError::Unavailable(format!(
                "{}: cannot be locked: {error}; the user of this program must be able to write \
                 it, on a local file system",
                path.display()
            ))
        };
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = (OpenOptions::new().read(true).write(true).create(true))
            .truncate(false)
            .mode(0o640)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)
            .map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let owner = owner(&mut file);
                return Err(StoreError::Unavailable(format!(
                    "{} belongs to another wpkd ({owner}); stop that one, or give this one a \
                     store.path of its own",
                    database.display()
                )));
            }
            Err(error) => return Err(unusable(error.into())),
        }
        // Only told: without it the lock holds as well.
        let _ = tell(&mut file);
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not only closed: a process that is just being started has a copy of the
        // descriptor, and would keep the lock until it runs its program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(END);
    name.into()
}

fn tell(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}", std::process::id())
}

fn owner(file: &mut File) -> String {
    let mut told = Vec::new();
    let read = file.take(LONGEST as u64).read_to_end(&mut told);
    let told = String::from_utf8_lossy(&told);
    match (read, clean(told.trim(), LONGEST)) {
        (Ok(_), told) if !told.is_empty() => told,
        (Err(error), _) if error.kind() != ErrorKind::Interrupted => {
            format!("which one is not known: {error}")
        }
        _ => "which one is not known".to_owned(),
    }
}
