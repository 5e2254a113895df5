//! Looking at a file before it is used: its digest, and its signature where the
//! settings ask for it. Everything here may read a whole file and belongs on a
//! thread that may block.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Weak;

use sha1::{Digest, Sha1 as Hasher};
use wpk_api::Sha1;

use super::file::WpkFile;
use super::memory::{Known, Memory, Stamp};
use crate::trust::{Distrust, Signers};

/// Finds out about files, and remembers it.
pub(super) struct Inspector {
    /// `None`: signatures are not checked.
    signers: Option<Signers>,
    memory: Memory,
}

/// An open file whose digest is known.
pub(super) struct Identified {
    file: File,
    path: PathBuf,
    stamp: Stamp,
    known: Known,
}

impl Identified {
    /// A file that was just written and hashed on the way. `path` is where it
    /// is going to lie.
    pub(super) fn written(file: File, path: PathBuf, sha1: Sha1) -> io::Result<Self> {
        Ok(Self {
            stamp: Stamp::of(&file.metadata()?),
            file,
            path,
            known: Known::new(sha1),
        })
    }

    pub(super) fn sha1(&self) -> Sha1 {
        self.known.sha1
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file under the name an agent will know it by.
    pub(super) fn into_wpk(self, name: String) -> WpkFile {
        let Known { sha1, sha256, .. } = self.known;
        WpkFile::new(self.file, self.path, name, self.stamp.len, sha1).sharing(sha256)
    }
}

impl Inspector {
    pub(super) fn new(signers: Option<Signers>) -> Self {
        let memory = Memory::default();
        Self { signers, memory }
    }

    /// Forgets what is known of the file at `path`.
    pub(super) fn forget(&self, path: &Path) {
        self.memory.forget(path);
    }

    /// Opens the file at `path`, and hashes it if that was not done for exactly
    /// this content. One of more than `max_size` bytes is refused unread; hashing
    /// ends when `wanted` is gone.
    pub(super) fn identify(
        &self,
        path: PathBuf,
        max_size: u64,
        wanted: Option<&Weak<()>>,
    ) -> io::Result<Identified> {
        // O_NONBLOCK: a FIFO put in the file's place must not hang the daemon.
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        let stamp = Stamp::of(&metadata);
        if stamp.len > max_size {
            return Err(io::Error::other(format!(
                "is {} bytes long, cache.max_size allows {max_size}",
                stamp.len
            )));
        }
        let known = match self.memory.of(&path, stamp) {
            Some(known) => known,
            None => {
                let known = Known::new(hash(&mut file, wanted)?);
                self.memory.keep(&path, stamp, known.clone());
                known
            }
        };
        Ok(Identified {
            file,
            path,
            stamp,
            known,
        })
    }

    /// Lets the file pass if its signature is good, or nobody asks for one.
    pub(super) fn admit(&self, file: &mut Identified) -> Result<(), Distrust> {
        if file.known.admitted {
            return Ok(());
        }
        if let Some(signers) = &self.signers {
            if let Some(cause) = self.memory.refusal(file.known.sha1) {
                return Err(Distrust::Signature(cause));
            }
            let verdict = (file.file.rewind())
                .map_err(|error| Distrust::Unreadable(error.to_string()))
                .and_then(|()| signers.verify(&file.file, &file.path));
            if let Err(Distrust::Signature(cause)) = &verdict {
                self.memory.refuse(file.known.sha1, cause);
            }
            verdict?;
        }
        file.known.admitted = true;
        (self.memory).keep(&file.path, file.stamp, file.known.clone());
        Ok(())
    }

    /// Why a content with this digest need not be had at all: it was badly
    /// signed when it was seen last.
    pub(super) fn refusal(&self, sha1: Sha1) -> Option<Distrust> {
        self.memory.refusal(sha1).map(Distrust::Signature)
    }
}

/// The SHA-1 of what is left to read, for as long as somebody wants it.
fn hash(file: &mut File, wanted: Option<&Weak<()>>) -> io::Result<Sha1> {
    let mut hasher = Hasher::new();
    let mut block = vec![0u8; 128 << 10];
    loop {
        if wanted.is_some_and(|wanted| wanted.strong_count() == 0) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        match file.read(&mut block) {
            Ok(0) => return Ok(Sha1(hasher.finalize().into())),
            Ok(n) => hasher.update(block.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
