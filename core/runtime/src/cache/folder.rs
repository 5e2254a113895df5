//! The folder of downloaded WPKs: what lies there has its full length, its
//! listed digest and, where the settings ask for it, a good signature. A file
//! gets its name only when all of that is certain.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use tempfile::{NamedTempFile, TempPath};
use tracing::{debug, info, warn};
use wpk_api::words::{LONGEST_CAUSE, clean};
use wpk_api::{Sha1, UnixTime};
use wpk_wire::UpgradeCode;

use super::file::WpkFile;
use super::inspector::{Identified, Inspector};
use super::part::{self, part};
use super::room::{Claim, Room};
use crate::failure::Failure;
use crate::trust::{self, Distrust, Expected, Signers};

/// The folder, and whoever looks at its files.
pub(super) struct Folder {
    path: PathBuf,
    inspector: Inspector,
    room: Arc<Room>,
}

impl Folder {
    /// Opens the folder, creates it if need be, and removes downloads that an
    /// earlier run left unfinished. In all it holds `most` bytes of downloads.
    pub(super) fn open(path: PathBuf, most: u64, signers: Option<Signers>) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).create(&path)?;
        for entry in std::fs::read_dir(&path)?.flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(part::PREFIX.as_bytes()) {
                debug!(file = %entry.path().display(), "removing an unfinished download");
                if let Err(error) = std::fs::remove_file(entry.path()) {
                    warn!(file = %entry.path().display(), %error, "an unfinished download cannot be removed");
                }
            }
        }
        Ok(Self {
            room: Room::open(&path, most),
            inspector: Inspector::new(signers),
            path,
        })
    }

    /// Another limit for all downloads together, in bytes. Blocks.
    pub(super) fn set_most(&self, most: u64) {
        self.room.set_most(most);
    }

    /// How many downloads lie here, and the bytes of all, those under way included.
    pub(super) fn used(&self) -> (usize, u64) {
        self.room.in_all()
    }

    /// Room for a download that begins.
    pub(super) fn claim(&self) -> Claim {
        self.room.claim()
    }

    /// The file `name` of the folder, if it is this one. Blocks.
    ///
    /// # Errors
    /// It is, but nobody may have it; then it is removed.
    pub(super) fn find(&self, name: &str, sha1: Sha1) -> Result<Option<WpkFile>, Failure> {
        let mut found = match self
            .inspector
            .identify(self.path.join(name), u64::MAX, None)
        {
            Ok(found) if found.sha1() == sha1 => found,
            Ok(other) => {
                info!(file = %other.path().display(), "the cached WPK has another SHA-1 and is downloaded again");
                return Ok(None);
            }
            Err(error) => {
                debug!(file = name, %error, "not in the cache");
                return Ok(None);
            }
        };
        if let Err(distrust) = self.inspector.admit(&mut found) {
            let path = found.path();
            if matches!(distrust, Distrust::Signature(_)) {
                warn!(file = %path.display(), "removing a badly signed WPK from the cache");
                if let Err(error) = std::fs::remove_file(path) {
                    warn!(file = %path.display(), %error, "a badly signed WPK cannot be removed");
                }
            }
            return Err(distrusted(&path.display().to_string(), distrust));
        }
        let file = found.into_wpk(name.to_owned());
        self.room.used(&file);
        Ok(Some(file))
    }

    /// A file outside the folder, read where it is. Blocks.
    ///
    /// # Errors
    /// Code 16: it cannot be read, or is longer than `max_size` bytes.
    pub(super) fn elsewhere(
        &self,
        path: PathBuf,
        name: String,
        max_size: u64,
        wanted: &Weak<()>,
    ) -> Result<WpkFile, Failure> {
        let shown = path.display().to_string();
        let identified = self.inspector.identify(path, max_size, Some(wanted));
        let mut found = identified.map_err(|error| {
            Failure::new(UpgradeCode::FileNotFound, format!("{shown}: {error}"))
        })?;
        (self.inspector.admit(&mut found)).map_err(|distrust| distrusted(&shown, distrust))?;
        Ok(found.into_wpk(name))
    }

    /// Whether a file is a WPK that one of `authorities` signed. Blocks.
    pub(super) fn examine(
        &self,
        file: &WpkFile,
        expected: &Expected,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let shown = file.path.display().to_string();
        trust::examine(file.reader(), &shown, expected, now)
            .map_err(|distrust| distrusted(&shown, distrust))
    }

    /// Whether it is worth while to download what has this digest.
    ///
    /// # Errors
    /// It was badly signed when it was seen last.
    pub(super) fn expect(&self, location: &str, sha1: Sha1) -> Result<(), Failure> {
        match self.inspector.refusal(sha1) {
            None => Ok(()),
            Some(distrust) => Err(distrusted(location, distrust)),
        }
    }

    /// Forgets what is known of a file, so that it is read again.
    pub(super) fn forget(&self, path: &Path) {
        self.inspector.forget(path);
    }

    /// A file for a download to be written to; gone when it is dropped. Blocks.
    /// A folder that somebody took away meanwhile is made again.
    pub(super) fn part(&self) -> Result<NamedTempFile, Failure> {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .create(&self.path);
        made.map_err(|error| self.disk(&error))?;
        part(&self.path).map_err(|error| self.disk(&error))
    }

    /// Gives a whole download its name. What is answered is the file that was
    /// written: another repository's file of the same name may have taken its
    /// place by now. Blocks.
    ///
    /// # Errors
    /// The disk's, or the file is badly signed; then it never had a name.
    pub(super) fn settle(&self, download: Downloaded) -> Result<WpkFile, Failure> {
        let Downloaded {
            file,
            part,
            name,
            location,
            sha1,
            claim,
        } = download;
        let disk = |error| self.disk(&error);
        let place = self.path.join(&name);
        let mut written = Identified::written(file, place, sha1).map_err(disk)?;
        (self.inspector.admit(&mut written)).map_err(|distrust| distrusted(&location, distrust))?;
        (part.persist(written.path())).map_err(|error| disk(error.error))?;
        (File::open(&self.path).and_then(|folder| folder.sync_all())).map_err(disk)?;
        let file = written.into_wpk(name);
        // In this order, so that its room is always taken.
        self.room.used(&file);
        drop(claim);
        info!(file = %file.name, bytes = file.len, from = clean(&location, LONGEST_CAUSE), "downloaded");
        Ok(file)
    }

    /// A failure to write here.
    pub(super) fn disk(&self, error: &io::Error) -> Failure {
        Failure::local(format!(
            "{} cannot be written: {error}",
            self.path.display()
        ))
    }
}

/// A download that is whole and on disk, but has no name yet.
pub(super) struct Downloaded {
    pub(super) file: File,
    pub(super) part: TempPath,
    /// The name it is to have.
    pub(super) name: String,
    /// Where it came from, for messages.
    pub(super) location: String,
    pub(super) sha1: Sha1,
    /// The room it has.
    pub(super) claim: Claim,
}

fn distrusted(location: &str, distrust: Distrust) -> Failure {
    let (Distrust::Signature(cause) | Distrust::Unreadable(cause)) = distrust;
    Failure::local(format!("{location}: {cause}"))
}
