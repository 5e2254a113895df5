//! WPK files on this machine: one download per file however many agents wait
//! for it, checked while it streams, put in place by a rename. Files of
//! `upgrade_custom` are read where they are.
//!
//! Deliveries enter with an offer ([`Cache::get`]) and leave with a [`WpkFile`].
//! `folder.rs` keeps the files, `room.rs` how much they may be, `download.rs` fetches
//! them (`part.rs`), `inspector.rs` looks at them before they are used, `memory.rs`
//! remembers what it saw.

mod blocking;
mod download;
mod file;
mod folder;
mod inspector;
mod memory;
mod part;
mod room;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest, Sha256 as Hasher};
use tokio::sync::Semaphore;
use wpk_api::{OfferSource, Sha1, Sha256, UnixTime};
use wpk_config::CacheSettings;
use wpk_wire::UpgradeCode;

pub(crate) use file::WpkFile;

use crate::failure::Failure;
use crate::parts::StartError;
use crate::resolver::Resolved;
use crate::single_flight::SingleFlight;
use crate::trust::{Expected, Signers};
use blocking::blocking;
use download::Download;
use folder::Folder;

/// Files that are read through at the same time, for nobody but who asks about them.
const EXAMINED_AT_ONCE: usize = 2;

/// Who asks for the same at the same time is served together.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Where it is, its name, its digest: a repository that lists the same file as
    /// another and cannot deliver it must not fail the other's deliveries.
    Download(String, String, Sha1),
    Local(PathBuf),
}

/// How often a file of a repository was here, and how often it was not.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) found: Counter,
    pub(crate) fetched: Counter,
}

/// The WPK files of this machine.
pub(crate) struct Cache {
    folder: Arc<Folder>,
    /// In bytes.
    max_size: AtomicU64,
    counts: Counts,
    /// Who reads files through to look into them.
    examined: Arc<Semaphore>,
    flights: SingleFlight<Key, Result<WpkFile, Failure>>,
}

impl Cache {
    /// Opens the folder, creates it if need be, and removes downloads that an
    /// earlier run left unfinished; of `settings` the sizes count. With `signers` only
    /// what they signed is given out.
    pub(crate) fn open(
        folder: PathBuf,
        settings: &CacheSettings,
        signers: Option<Signers>,
    ) -> Result<Self, StartError> {
        let opened = Folder::open(folder.clone(), settings.total(), signers);
        Ok(Self {
            folder: Arc::new(opened.map_err(|cause| StartError::Folder {
                path: folder,
                cause,
            })?),
            max_size: AtomicU64::new(settings.max_size.0),
            counts: Counts::default(),
            examined: Arc::new(Semaphore::new(EXAMINED_AT_ONCE)),
            flights: SingleFlight::new(),
        })
    }

    /// Counts here.
    #[must_use]
    pub(crate) fn counting(mut self, counts: Counts) -> Self {
        self.counts = counts;
        self
    }

    /// How many files lie here, and what they and the downloads under way take, in bytes.
    pub(crate) fn used(&self) -> (usize, u64) {
        self.folder.used()
    }

    /// Other sizes from now on; what is too much is removed in the background.
    pub(crate) fn set_limits(&self, settings: &CacheSettings) {
        self.max_size.store(settings.max_size.0, Ordering::Relaxed);
        let (folder, most) = (self.folder.clone(), settings.total());
        drop(tokio::task::spawn_blocking(move || folder.set_most(most)));
    }

    /// The file of an offer, downloaded if it is not here yet.
    ///
    /// # Errors
    /// Why there is none, with the code that the task ends with.
    pub(crate) async fn get(&self, resolved: &Resolved) -> Result<WpkFile, Failure> {
        let (offer, folder) = (&resolved.offer, self.folder.clone());
        let max_size = self.max_size.load(Ordering::Relaxed);
        let name = offer.file_name.clone();
        let (key, flight) = match &offer.source {
            OfferSource::Local(path) => {
                let key = Key::Local(path.clone());
                let look = look_at(folder, path.clone(), name, max_size);
                (key, look.boxed())
            }
            OfferSource::Download(location) => {
                let sha1 = offer.sha1.ok_or_else(|| {
                    Failure::new(
                        UpgradeCode::Sha1Mismatch,
                        format!("the provider offers {location} without a SHA-1"),
                    )
                })?;
                let download = Download {
                    resolved: resolved.clone(),
                    location: location.clone(),
                    sha1,
                    max_size,
                };
                let key = Key::Download(location.clone(), name, sha1);
                (key, have(folder, download, self.counts.clone()).boxed())
            }
        };
        let file = self.flights.run(key, || flight).await?;
        // Who asked for the same file by another link has another name for it.
        Ok(file.named(&offer.file_name))
    }

    /// Whether a file is a WPK, as far as that can be told without an agent, and, where
    /// `authorities` is given, signed by one of them at `now`.
    ///
    /// # Errors
    /// What is wrong with it, with its path.
    pub(crate) async fn examine(
        &self,
        file: &WpkFile,
        expected: Expected,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let (folder, file) = (self.folder.clone(), file.clone());
        let leave = self.examined.clone().acquire_owned().await;
        blocking(move || {
            // Until it is done, also where nobody waits any more.
            let _leave = leave;
            folder.examine(&file, &expected, now)
        })
        .await
    }

    /// The SHA-256 of a file, which is read for it once however many ask.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn sha256(&self, file: &WpkFile) -> Result<Sha256, Failure> {
        let read = file.clone();
        let found = file
            .sha256
            .get_or_try_init(|| blocking(move || hash(&read)));
        found.await.copied()
    }

    /// An agent got other bytes than the file's digest says: what is remembered
    /// of it is forgotten, so that it is read again, and fetched anew if it is not
    /// what it was.
    pub(crate) fn doubt(&self, file: &WpkFile) {
        self.folder.forget(&file.path);
    }
}

/// Reads all of a file.
fn hash(file: &WpkFile) -> Result<Sha256, Failure> {
    let (mut hasher, mut offset) = (Hasher::new(), 0);
    while offset < file.len {
        let block = (file.read_at(offset, 128 << 10)).map_err(|error| {
            Failure::new(
                UpgradeCode::FileNotFound,
                format!("{}: {error}", file.path.display()),
            )
        })?;
        if block.is_empty() {
            break;
        }
        offset += block.len() as u64;
        hasher.update(&block);
    }
    Ok(Sha256(hasher.finalize().into()))
}

/// A file outside the folder. Hashing it ends when nobody waits for it any more.
async fn look_at(
    folder: Arc<Folder>,
    path: PathBuf,
    name: String,
    max_size: u64,
) -> Result<WpkFile, Failure> {
    let waiting = Arc::new(());
    let wanted = Arc::downgrade(&waiting);
    let found = blocking(move || folder.elsewhere(path, name, max_size, &wanted)).await;
    drop(waiting);
    found
}

/// What is to be downloaded, from the folder if it is there.
async fn have(folder: Arc<Folder>, download: Download, counts: Counts) -> Result<WpkFile, Failure> {
    folder.expect(&download.location, download.sha1)?;
    let here = {
        let (folder, sha1) = (folder.clone(), download.sha1);
        let name = download.resolved.offer.file_name.clone();
        blocking(move || folder.find(&name, sha1)).await?
    };
    if let Some(file) = here {
        counts.found.inc();
        return Ok(file);
    }
    counts.fetched.inc();
    let whole = download.run(&folder).await?;
    blocking(move || folder.settle(whole)).await
}
