//! How much may lie in the cache as a whole (`cache.max_total`). What was used
//! longest ago is removed for a download that needs its room, but nothing that is
//! being sent, and nothing that somebody else put into the folder: the list
//! [`INDEX`] names what was downloaded, and the time of access of each file says
//! when it was used last.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tracing::{debug, info, warn};

use super::file::WpkFile;
use super::part::part;
use crate::failure::Failure;

/// The names of what was downloaded, one a line.
pub(super) const INDEX: &str = ".wpkd-downloads";
/// The longest list that is read, in bytes.
const LONGEST_INDEX: u64 = 4 << 20;
/// A download claims its room in pieces of this many bytes, where they are free.
const PIECE: u64 = 16 << 20;

/// The room of one folder.
pub(super) struct Room {
    folder: PathBuf,
    held: Mutex<Held>,
}

struct Held {
    /// In bytes.
    most: u64,
    /// By downloads that are under way, in bytes.
    claimed: u64,
    files: HashMap<String, Kept>,
}

/// A file that was downloaded.
struct Kept {
    len: u64,
    used: SystemTime,
    /// Whoever sends it, or is about to.
    senders: Vec<Weak<File>>,
}

impl Kept {
    fn is_sent(&self) -> bool {
        self.senders.iter().any(|sender| sender.strong_count() > 0)
    }
}

/// Room that a download has; given back when dropped.
pub(super) struct Claim {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    /// The room of a folder, and what lies there from earlier runs. Blocks.
    pub(super) fn open(folder: &Path, most: u64) -> Arc<Self> {
        let names = index(&folder.join(INDEX)).unwrap_or_else(|error| {
            warn!(folder = %folder.display(), %error, "the list of downloads cannot be read; \
                what is not used again is never removed");
            String::new()
        });
        let kept = names.lines().filter_map(|name| {
            // Only what lies in the folder itself.
            let bare = Path::new(name).file_name() == Some(OsStr::new(name));
            let meta = folder.join(name).symlink_metadata().ok()?;
            let kept = Kept {
                len: meta.len(),
                used: meta.accessed().ok()?,
                senders: Vec::new(),
            };
            (bare && meta.is_file()).then(|| (name.to_owned(), kept))
        });
        let held = Held {
            most,
            claimed: 0,
            files: kept.collect(),
        };
        let room = Arc::new(Self {
            folder: folder.to_owned(),
            held: Mutex::new(held),
        });
        room.set_most(most);
        room
    }

    /// Another limit; what is too much is removed, as far as that can be. Blocks.
    pub(super) fn set_most(&self, most: u64) {
        let mut held = self.held();
        held.most = most;
        self.make(&mut held, 0);
    }

    /// A file of the folder is used: it is the last to be removed. Blocks.
    pub(super) fn used(&self, file: &WpkFile) {
        let used = SystemTime::now();
        // The time of modification stays: by that the content is known again.
        if let Err(error) = file.handle().set_times(FileTimes::new().set_accessed(used)) {
            debug!(file = %file.path.display(), %error, "its last use is not remembered");
        }
        let mut held = self.held();
        let before = held.files.remove(&file.name);
        let known = before.is_some();
        let mut senders = before.map(|kept| kept.senders).unwrap_or_default();
        senders.retain(|sender| sender.strong_count() > 0);
        senders.push(Arc::downgrade(file.handle()));
        let kept = Kept {
            len: file.len,
            used,
            senders,
        };
        held.files.insert(file.name.clone(), kept);
        if !known {
            self.write_index(&held);
        }
    }

    /// How many files there are, and the bytes of all that is claimed.
    pub(super) fn in_all(&self) -> (usize, u64) {
        let held = self.held();
        (held.files.len(), held.in_all())
    }

    /// For a download that begins.
    pub(super) fn claim(self: &Arc<Self>) -> Claim {
        Claim {
            room: self.clone(),
            bytes: 0,
        }
    }

    /// Removes files until `more` bytes fit; false if they cannot.
    fn make(&self, held: &mut Held, more: u64) -> bool {
        if held.has(more) {
            return true;
        }
        // Somebody may have tidied up.
        (held.files).retain(|name, _| self.folder.join(name).symlink_metadata().is_ok());
        let mut removable: Vec<_> = (held.files.iter())
            .filter(|(_, kept)| !kept.is_sent())
            .map(|(name, kept)| (kept.used, kept.len, name.clone()))
            .collect();
        removable.sort();
        let total: u64 = removable.iter().map(|(_, len, _)| len).sum();
        // Nothing is removed for what does not fit in any case.
        if held.left().saturating_add(total) < more && more > 0 {
            return false;
        }
        for (used, bytes, name) in removable {
            if held.has(more) {
                break;
            }
            let path = self.folder.join(&name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    warn!(file = %path.display(), %error, "it cannot be removed from the cache");
                    continue;
                }
                _ => {}
            }
            let unused = SystemTime::now().duration_since(used).unwrap_or_default();
            info!(
                file = name, bytes, unused_for = ?unused,
                "removed from the cache to make room (cache.max_total)"
            );
            held.files.remove(&name);
        }
        self.write_index(held);
        held.has(more)
    }

    /// What is not in the list is put there when it is used again.
    fn write_index(&self, held: &Held) {
        let mut names: Vec<&str> = held.files.keys().map(String::as_str).collect();
        names.sort_unstable();
        let text: String = names.into_iter().flat_map(|name| [name, "\n"]).collect();
        let write = || {
            let mut new = part(&self.folder)?;
            new.write_all(text.as_bytes())?;
            new.persist(self.folder.join(INDEX))?;
            Ok::<_, io::Error>(())
        };
        if let Err(error) = write() {
            warn!(folder = %self.folder.display(), %error, "the list of downloads cannot be written");
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn in_all(&self) -> u64 {
        let files: u64 = self.files.values().map(|kept| kept.len).sum();
        files.saturating_add(self.claimed)
    }

    /// Whether all is within the limit, and would be with so many bytes more.
    fn has(&self, more: u64) -> bool {
        self.in_all().saturating_add(more) <= self.most
    }

    fn left(&self) -> u64 {
        self.most.saturating_sub(self.in_all())
    }
}

impl Claim {
    /// Whether what was claimed is enough for a file of `len` bytes.
    pub(super) fn covers(&self, len: u64) -> bool {
        len <= self.bytes
    }

    /// Claims room for `len` bytes in all. Blocks.
    ///
    /// # Errors
    /// There is none, and what could be removed is not enough.
    pub(super) fn grow(&mut self, len: u64) -> Result<(), Failure> {
        let more = len.saturating_sub(self.bytes);
        let mut held = self.room.held();
        if !self.room.make(&mut held, more) {
            let (most, others) = (held.most, held.in_all() - self.bytes);
            let folder = self.room.folder.display();
            return Err(Failure::local(format!(
                "the cache {folder} is full: {len} bytes do not fit into cache.max_total ({most} \
                 bytes), of which {others} are in use or cannot be removed"
            )));
        }
        let more = more.max(PIECE.min(held.left() / 8));
        held.claimed += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.held().claimed -= self.bytes;
    }
}

fn index(path: &Path) -> io::Result<String> {
    match path.symlink_metadata() {
        Ok(meta) if !meta.is_file() || meta.len() > LONGEST_INDEX => {
            return Err(io::Error::other("it is no file, or too long"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    }
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(LONGEST_INDEX).read_to_string(&mut text)?;
    Ok(text)
}
