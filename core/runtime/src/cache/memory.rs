//! What was found out about files, so that thousands of agents do not mean
//! thousands of readings, nor of downloads that are refused each time.

use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::Hash;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use wpk_api::{Sha1, Sha256};

/// How long a badly signed file is refused unseen. Not for ever: the clock that
/// a certificate was judged by may have been wrong.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(600);
/// Entries of each kind; `upgrade_custom` may name any number of paths over the
/// years.
const MOST: usize = 10_000;

/// What identifies the content of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    /// In bytes.
    pub(super) len: u64,
    modified: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What is known of one content.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) sha1: Sha1,
    /// Its signature was good, or nobody asks for signatures.
    pub(super) admitted: bool,
    /// Found out where anybody asks for it.
    pub(super) sha256: Arc<OnceCell<Sha256>>,
}

impl Known {
    /// All that is known at first.
    pub(super) fn new(sha1: Sha1) -> Self {
        Self {
            sha1,
            admitted: false,
            sha256: Arc::default(),
        }
    }
}

/// The notes of a [`super::inspector::Inspector`].
#[derive(Default)]
pub(super) struct Memory {
    files: Mutex<HashMap<PathBuf, (Stamp, Known)>>,
    refused: Mutex<HashMap<Sha1, (Instant, String)>>,
}

impl Memory {
    /// What is known of the file at `path`, if it is still the same one.
    pub(super) fn of(&self, path: &Path, stamp: Stamp) -> Option<Known> {
        let files = lock(&self.files);
        let (at, known) = files.get(path)?;
        (*at == stamp).then(|| known.clone())
    }

    pub(super) fn keep(&self, path: &Path, stamp: Stamp, known: Known) {
        insert(&self.files, path.to_owned(), (stamp, known));
    }

    pub(super) fn forget(&self, path: &Path) {
        lock(&self.files).remove(path);
    }

    /// Why this content was refused not long ago.
    pub(super) fn refusal(&self, sha1: Sha1) -> Option<String> {
        let refused = lock(&self.refused);
        let (at, cause) = refused.get(&sha1)?;
        (at.elapsed() < REFUSED_FOR).then(|| cause.clone())
    }

    pub(super) fn refuse(&self, sha1: Sha1, cause: &str) {
        insert(&self.refused, sha1, (Instant::now(), cause.to_owned()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert<K: Eq + Hash, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut map = lock(map);
    if map.len() >= MOST {
        map.clear();
    }
    map.insert(key, value);
}
