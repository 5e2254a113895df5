//! The file: one line of JSON for each call that changed something.
//!
//! A line is on disk before its call is answered, so a crash can only lose the
//! last line, whose call nobody was told of; when the file is opened such a
//! remainder is cut off. A line that cannot be written is taken back. When the
//! file has grown well beyond what is alive, it is written anew beside itself
//! and renamed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wpk_plugin::api::StoreError;

use crate::changes::Changes;
use crate::tasks::Tasks;

/// The first line. Whatever begins otherwise is somebody else's file.
const HEADER: &[u8] = b"{\"format\":\"wpkd-journal\",\"version\":1}\n";

/// A file is written anew from this length on, in bytes, ...
const COMPACT_FROM: u64 = 8 << 20;
/// ... and when it is so many times as long as it was when that was last done.
const COMPACT_FACTOR: u64 = 3;

/// The open file. Only one at a time, in all processes.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Holds the lock on the journal, whose own file is replaced at times.
    _lock: File,
    /// Up to here all is well, in bytes.
    length: u64,
    /// The length when it was last written anew.
    compact_length: u64,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

impl Journal {
    /// Opens the file at `path`, or makes it, and reads what it holds.
    pub(crate) fn open(path: &Path) -> Result<(Self, Tasks), StoreError> {
        let failed = |what: &str, error: io::Error| {
            StoreError::Unavailable(format!("{what} {}: {error}", path.display()))
        };
        let lock = lock(path)?;
        let mut file = options()
            .open(path)
            .map_err(|error| failed("opening", error))?;
        let (tasks, length) = replay(path, &file)?;
        let found = file
            .metadata()
            .map_err(|error| failed("reading", error))?
            .len();
        let length =
            prepare(path, &mut file, length, found).map_err(|error| failed("preparing", error))?;
        let journal = Self {
            path: path.to_owned(),
            file,
            _lock: lock,
            length,
            compact_length: 0,
            broken: None,
        };
        Ok((journal, tasks))
    }

    /// Puts a line on disk.
    ///
    /// # Errors
    /// Nothing of it is there then.
    pub(crate) fn append(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Unavailable(why.clone()));
        }
        let line = line(changes)?;
        let written = self
            .file
            .write_all(&line)
            .and_then(|()| self.file.sync_data());
        let Err(error) = written else {
            self.length += line.len() as u64;
            return Ok(());
        };
        let taken_back = self
            .file
            .set_len(self.length)
            .and_then(|()| self.file.sync_all());
        let what = format!("{}: {error}", self.path.display());
        if let Err(second) = taken_back {
            // Whether the line is there can no longer be told before a restart reads it.
            let why = format!("{what}, then {second}; check the disk and restart the daemon");
            tracing::error!("{why}");
            self.broken = Some(why);
        }
        Err(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreError::Full(what)
            }
            _ => StoreError::Unavailable(what),
        })
    }

    /// Writes the file anew if it has grown enough. If that fails the old one
    /// goes on.
    pub(crate) fn compact(&mut self, tasks: &mut Tasks) {
        let most = COMPACT_FROM.max(self.compact_length.saturating_mul(COMPACT_FACTOR));
        if self.length < most || self.broken.is_some() {
            return;
        }
        tasks.feed.forget(|_| false);
        if let Err(error) = self.write_anew(tasks) {
            tracing::warn!(path = %self.path.display(), %error, "the journal was not made shorter");
        }
        self.compact_length = self.length;
    }

    fn write_anew(&mut self, tasks: &Tasks) -> io::Result<()> {
        let line = line(&tasks.all()).map_err(io::Error::other)?;
        let beside = beside(&self.path, ".new");
        let mut file = options().open(&beside)?;
        file.set_len(0)?;
        file.write_all(HEADER)?;
        file.write_all(&line)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        // From here on the new file is the journal, whatever else happens.
        self.file = file;
        self.length = (HEADER.len() + line.len()) as u64;
        tracing::info!(
            tasks = tasks.len(),
            bytes = self.length,
            "the journal was written anew"
        );
        sync_folder(&self.path)
    }
}

/// Cuts off what cannot be read; returns how long the file is then, in bytes.
fn prepare(path: &Path, file: &mut File, length: u64, found: u64) -> io::Result<u64> {
    if found > length {
        let bytes = found - length;
        tracing::warn!(path = %path.display(), bytes, "cut off a line that a crash left");
        file.set_len(length)?;
    }
    if length == 0 {
        file.write_all(HEADER)?;
    }
    file.sync_all()?;
    sync_folder(path)?;
    Ok(length.max(HEADER.len() as u64))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options
}

fn line(changes: &Changes) -> Result<Vec<u8>, StoreError> {
    let line = serde_json::to_vec(changes);
    let mut line = line.map_err(|error| StoreError::Damaged(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// The tasks, and up to where the file can be read, in bytes.
fn replay(path: &Path, file: &File) -> Result<(Tasks, u64), StoreError> {
    let damaged =
        |at: u64, why: &str| StoreError::Damaged(format!("{}, byte {at}: {why}", path.display()));
    let mut reader = BufReader::new(file);
    let mut next = || -> Result<Vec<u8>, StoreError> {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        read.map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
        Ok(line)
    };
    let mut tasks = Tasks::default();
    let header = next()?;
    if header != HEADER {
        return match HEADER.starts_with(&header) {
            true => Ok((tasks, 0)),
            false => Err(damaged(
                0,
                "is no journal of this plugin; name another `path`",
            )),
        };
    }
    let mut length = HEADER.len() as u64;
    let mut line = next()?;
    while line.ends_with(b"\n") {
        let after = next()?;
        match serde_json::from_slice(&line) {
            Ok(changes) => tasks.apply(changes),
            // Blocks of the last line may reach the disk in any order.
            Err(_) if after.is_empty() => break,
            Err(error) => return Err(damaged(length, &error.to_string())),
        }
        length += line.len() as u64;
        line = after;
    }
    Ok((tasks, length))
}

/// A crash must find the new name too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let lock = beside(path, ".lock");
    let locked = options()
        .open(&lock)
        .and_then(|file| match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::other(
                "another process uses this journal; end it, or name another `path`",
            )),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        });
    locked.map_err(|error| StoreError::Unavailable(format!("{}: {error}", lock.display())))
}
