//! WPK files on this machine: one download per file however many agents wait
//! for it, checked while it streams, put in place by a rename. Files of
//! `upgrade_custom` are read where they are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use sha1::{Digest, Sha1 as Hasher};
use tokio::io::AsyncWriteExt;
use tracing::{debug, info, warn};
use wpk_api::{Offer, OfferSource, Sha1};
use wpk_wire::UpgradeCode;

use crate::failure::Failure;
use crate::parts::StartError;
use crate::resolver::Resolved;
use crate::single_flight::SingleFlight;
use crate::trust::Signers;

/// Unfinished downloads start with this, so that a restart knows them.
const PART_PREFIX: &str = ".wpkd-download-";

/// A WPK ready to be sent. Holds the open file: what was checked is what is
/// sent, whatever happens to the name meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct WpkFile {
    file: Arc<File>,
    /// The bare name the agent will know it by.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// Its digest.
    pub(crate) sha1: Sha1,
}

impl WpkFile {
    /// Up to `len` bytes at `offset`; shorter only at the end of the file.
    pub(crate) async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let file = self.file.clone();
        let read = move || {
            let mut block = BytesMut::zeroed(len);
            let mut filled = 0;
            while filled < len {
                match file.read_at(
                    block.get_mut(filled..).unwrap_or_default(),
                    offset + filled as u64,
                ) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            block.truncate(filled);
            Ok(block.freeze())
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)?
    }
}

/// What identifies the content of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Download(String, Option<Sha1>),
    Local(PathBuf),
}

/// The folder of downloaded WPKs.
pub(crate) struct Cache {
    shared: Arc<Shared>,
    flights: SingleFlight<Key, Result<WpkFile, Failure>>,
}

struct Shared {
    folder: PathBuf,
    max_size: u64,
    /// Signatures are checked against it before a file is used.
    trust: Option<Signers>,
    /// Digests of files that were hashed (and whose signature was checked), so
    /// that thousands of agents do not mean thousands of readings.
    known: Mutex<HashMap<PathBuf, (Stamp, Sha1)>>,
}

impl Cache {
    /// Opens the folder, creates it if need be, and removes downloads that an
    /// earlier run left unfinished.
    pub(crate) fn open(
        folder: PathBuf,
        max_size: u64,
        trust: Option<Signers>,
    ) -> Result<Self, StartError> {
        let failed = |cause| StartError::Folder {
            path: folder.clone(),
            cause,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .create(&folder)
            .map_err(failed)?;
        for entry in std::fs::read_dir(&folder).map_err(failed)?.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(PART_PREFIX.as_bytes())
            {
                debug!(file = %entry.path().display(), "removing an unfinished download");
                if let Err(error) = std::fs::remove_file(entry.path()) {
                    warn!(file = %entry.path().display(), %error, "an unfinished download cannot be removed");
                }
            }
        }
        let known = Mutex::new(HashMap::new());
        let shared = Arc::new(Shared {
            folder,
            max_size,
            trust,
            known,
        });
        Ok(Self {
            shared,
            flights: SingleFlight::new(),
        })
    }

    /// The file of an offer, downloaded if it is not here yet.
    pub(crate) async fn get(&self, resolved: &Resolved) -> Result<WpkFile, Failure> {
        let offer = &resolved.offer;
        let key = match &offer.source {
            OfferSource::Download(_) => Key::Download(offer.file_name.clone(), offer.sha1),
            OfferSource::Local(path) => Key::Local(path.clone()),
        };
        let (shared, resolved) = (self.shared.clone(), resolved.clone());
        self.flights
            .run(key, || async move { shared.produce(&resolved).await })
            .await
    }
}

impl Shared {
    async fn produce(self: Arc<Self>, resolved: &Resolved) -> Result<WpkFile, Failure> {
        let offer = &resolved.offer;
        match (&offer.source, offer.sha1) {
            (OfferSource::Local(path), _) => {
                self.open_file(path.clone(), offer.file_name.clone()).await
            }
            (OfferSource::Download(_), Some(sha1)) => {
                let path = self.folder.join(&offer.file_name);
                match self
                    .clone()
                    .open_file(path.clone(), offer.file_name.clone())
                    .await
                {
                    Ok(file) if file.sha1 == sha1 => return Ok(file),
                    Ok(_) => {
                        info!(file = %path.display(), "the cached WPK has another SHA-1 and is downloaded again")
                    }
                    Err(failure) => debug!(%failure, "not in the cache"),
                }
                self.clone().download(resolved, sha1).await
            }
            (OfferSource::Download(location), None) => Err(Failure::new(
                UpgradeCode::Sha1Mismatch,
                format!("the provider offers {location} without a SHA-1"),
            )),
        }
    }

    /// Opens a file that is here, hashing it (and checking its signature) only
    /// if that was not done for exactly this content.
    async fn open_file(self: Arc<Self>, path: PathBuf, name: String) -> Result<WpkFile, Failure> {
        let open = move || {
            let missing = |error: io::Error| {
                Failure::new(
                    UpgradeCode::FileNotFound,
                    format!("{}: {error}", path.display()),
                )
            };
            // O_NONBLOCK: a FIFO put in the file's place must not hang the daemon.
            let mut file = std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
                .open(&path)
                .map_err(missing)?;
            let metadata = file.metadata().map_err(missing)?;
            if !metadata.is_file() {
                return Err(missing(io::Error::other("is no regular file")));
            }
            let stamp = Stamp::of(&metadata);
            let sha1 = match self.known_digest(&path, stamp) {
                Some(sha1) => sha1,
                None => {
                    let sha1 = hash(&mut file).map_err(missing)?;
                    self.check_signature(&file, &path)?;
                    self.remember(&path, stamp, sha1);
                    sha1
                }
            };
            Ok(WpkFile {
                file: Arc::new(file),
                name,
                len: stamp.len,
                sha1,
            })
        };
        tokio::task::spawn_blocking(open)
            .await
            .unwrap_or_else(|error| Err(Failure::local(error.to_string())))
    }

    fn known_digest(&self, path: &Path, stamp: Stamp) -> Option<Sha1> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(path)
            .filter(|(at, _)| *at == stamp)
            .map(|(_, sha1)| *sha1)
    }

    fn remember(&self, path: &Path, stamp: Stamp, sha1: Sha1) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // `upgrade_custom` may name any number of paths over the years.
        if known.len() >= 10_000 {
            known.clear();
        }
        known.insert(path.to_owned(), (stamp, sha1));
    }

    fn check_signature(&self, mut file: &File, path: &Path) -> Result<(), Failure> {
        let Some(trust) = &self.trust else {
            return Ok(());
        };
        let failed = |cause: String| Failure::local(format!("{}: {cause}", path.display()));
        file.rewind().map_err(|error| failed(error.to_string()))?;
        trust
            .verify(file, path)
            .map_err(|error| failed(error.to_string()))
    }

    /// Streams the offer into a temporary file beside its place, checks size
    /// and SHA-1 on the way, makes it durable and renames it. What is answered
    /// is the file that was written: another repository's file of the same name
    /// may have taken its place by now.
    async fn download(
        self: Arc<Self>,
        resolved: &Resolved,
        wanted: Sha1,
    ) -> Result<WpkFile, Failure> {
        let Offer {
            file_name, source, ..
        } = &resolved.offer;
        let location = match source {
            OfferSource::Download(location) => location.clone(),
            OfferSource::Local(path) => path.display().to_string(),
        };
        let disk = |error: io::Error| self.disk(&error);
        let part = tempfile::Builder::new()
            .prefix(PART_PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o640))
            .tempfile_in(&self.folder)
            .map_err(disk)?;
        let (file, part) = part.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut stream = resolved.provider.fetch(&resolved.offer).await?;
        let (mut hasher, mut len) = (Hasher::new(), 0u64);
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            len += piece.len() as u64;
            if len > self.max_size {
                return Err(Failure::new(
                    UpgradeCode::FileNotFound,
                    format!(
                        "{location} is longer than cache.max_size ({} bytes)",
                        self.max_size
                    ),
                ));
            }
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(disk)?;
        }
        let got = Sha1(hasher.finalize().into());
        if got != wanted {
            return Err(Failure::new(
                UpgradeCode::Sha1Mismatch,
                format!("{location}: the SHA-1 is {got}, the repository lists {wanted}"),
            ));
        }
        file.flush().await.map_err(disk)?;
        file.sync_all().await.map_err(disk)?;
        let file = file.into_std().await;
        let (shared, name) = (self.clone(), file_name.clone());
        let settle = move || {
            let disk = |error| shared.disk(&error);
            let place = shared.folder.join(&name);
            part.persist(&place).map_err(|error| disk(error.error))?;
            (File::open(&shared.folder).and_then(|folder| folder.sync_all())).map_err(disk)?;
            shared.check_signature(&file, &place)?;
            let stamp = Stamp::of(&file.metadata().map_err(disk)?);
            shared.remember(&place, stamp, wanted);
            Ok(WpkFile {
                file: Arc::new(file),
                name,
                len,
                sha1: wanted,
            })
        };
        let settled = tokio::task::spawn_blocking(settle)
            .await
            .unwrap_or_else(|error| Err(Failure::local(error.to_string())))?;
        info!(file = %file_name, bytes = len, from = %location, "downloaded");
        Ok(settled)
    }

    fn disk(&self, error: &io::Error) -> Failure {
        Failure::local(format!(
            "{} cannot be written: {error}",
            self.folder.display()
        ))
    }
}

/// The SHA-1 of what is left to read.
fn hash(file: &mut File) -> io::Result<Sha1> {
    let mut hasher = Hasher::new();
    let mut block = vec![0u8; 128 << 10];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(Sha1(hasher.finalize().into())),
            Ok(n) => hasher.update(block.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use wpk_api::{ByteStream, ProviderError, Wanted, WpkProvider};

    use super::*;

    /// Offers what it holds.
    struct Holder(Vec<u8>);

    impl Holder {
        fn offer(self) -> Resolved {
            let sha1 = Sha1(Hasher::digest(&self.0).into());
            Resolved {
                offer: Offer {
                    file_name: "agent.wpk".into(),
                    version: None,
                    sha1: Some(sha1),
                    source: OfferSource::Download("somewhere".into()),
                },
                provider: Arc::new(self),
            }
        }
    }

    #[async_trait]
    impl WpkProvider for Holder {
        fn serves(&self, _: &Wanted) -> bool {
            true
        }

        async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
            Err(ProviderError::NotListed("nobody asks".into()))
        }

        async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
            let piece = Ok(Bytes::from(self.0.clone()));
            Ok(Box::pin(futures_util::stream::iter([piece])))
        }
    }

    /// Two repositories may have different files of one name. Whoever asks for
    /// one must never be given the other, whichever is put into place last.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn files_of_one_name_are_not_mixed_up() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned(), 1 << 20, None).unwrap();
        let cache = Arc::new(cache);
        let offers: Vec<Resolved> = (0..8u8)
            .map(|content| Holder(vec![content; 10]).offer())
            .collect();
        for _ in 0..25 {
            let asked = offers.iter().cloned().map(|offer| {
                let cache = cache.clone();
                tokio::spawn(async move { (cache.get(&offer).await, offer) })
            });
            for asked in futures_util::future::join_all(asked).await {
                let (file, offer) = asked.unwrap();
                let file = file.unwrap();
                assert_eq!(Some(file.sha1), offer.offer.sha1);
                let bytes = file.read_at(0, 100).await.unwrap();
                let content = Sha1(Hasher::digest(&bytes).into());
                assert_eq!(Some(content), offer.offer.sha1);
            }
        }
    }
}
