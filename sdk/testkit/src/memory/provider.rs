//! A provider whose files a test puts there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use sha1::{Digest, Sha1 as Hasher};
use tokio::sync::Notify;
use wpk_api::{
    ByteStream, Listed, Offer, OfferSource, ProviderError, Sha1, Target, Version, Wanted,
    WantedRelease, WpkProvider,
};

/// Bytes of a file that come at once.
const PIECE: usize = 32_768;

/// What is wrong with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// It ends every question with this.
    Resolve(ProviderError),
    /// It ends every download with this.
    Fetch(ProviderError),
    /// Downloads break off in the middle.
    BreaksOff,
    /// Downloads bring other bytes than those listed.
    OtherBytes,
    /// Downloads wait for [`MemoryProvider::release`].
    Slow,
    /// Questions wait for it.
    Mute,
    /// It does not know all versions there are, for these reasons.
    Partly(Vec<String>),
}

/// Releases by version, and files by path as `upgrade_custom` names them.
#[derive(Debug)]
pub struct MemoryProvider {
    releases: Mutex<BTreeMap<Version, Bytes>>,
    trouble: Mutex<Trouble>,
    released: Notify,
    resolved: AtomicUsize,
    fetched: AtomicUsize,
    listed: AtomicUsize,
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self {
            releases: Mutex::default(),
            trouble: Mutex::new(Trouble::None),
            released: Notify::new(),
            resolved: AtomicUsize::new(0),
            fetched: AtomicUsize::new(0),
            listed: AtomicUsize::new(0),
        }
    }
}

impl MemoryProvider {
    /// Publishes a release.
    pub fn publish(&self, version: Version, content: impl Into<Bytes>) {
        self.releases().insert(version, content.into());
    }

    /// From now on this is wrong with it.
    pub fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Lets downloads that wait go on.
    pub fn release(&self) {
        self.set_trouble(Trouble::None);
        self.released.notify_waiters();
    }

    /// How often it was asked which file it is.
    pub fn resolved(&self) -> usize {
        self.resolved.load(Ordering::SeqCst)
    }

    /// How often a file was fetched.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// How often it was asked which versions there are.
    pub fn listed(&self) -> usize {
        self.listed.load(Ordering::SeqCst)
    }

    fn releases(&self) -> MutexGuard<'_, BTreeMap<Version, Bytes>> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> Trouble {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }

    fn content(&self, version: Version) -> Result<Bytes, ProviderError> {
        let found = self.releases().get(&version).cloned();
        found.ok_or_else(|| ProviderError::NotListed(version.to_string()))
    }
}

#[async_trait]
impl WpkProvider for MemoryProvider {
    fn serves(&self, _: &Wanted) -> bool {
        true
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        self.resolved.fetch_add(1, Ordering::SeqCst);
        match self.trouble() {
            Trouble::Resolve(error) => return Err(error),
            Trouble::Mute => self.released.notified().await,
            _ => {}
        }
        let release = match wanted {
            Wanted::Release(release) => release,
            Wanted::File(file) => {
                let path = file.path.clone();
                let path = path.ok_or_else(|| ProviderError::NoFile("no path".into()))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Ok(Offer {
                    file_name: name.into_owned(),
                    version: None,
                    sha1: None,
                    source: OfferSource::Local(path),
                });
            }
        };
        let newest = self.releases().keys().next_back().copied();
        let version = match &release.target {
            Target::Exactly(version) => Some(*version),
            Target::Latest => newest,
            Target::Invalid(_) => None,
        };
        let version = version.ok_or_else(|| ProviderError::NotListed("none".into()))?;
        let content = self.content(version)?;
        Ok(Offer {
            file_name: format!("agent_{version}.wpk"),
            version: Some(version),
            sha1: Some(Sha1(Hasher::digest(&content).into())),
            source: OfferSource::Download(version.to_string()),
        })
    }

    async fn fetch(&self, offer: &Offer) -> Result<ByteStream, ProviderError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let version = offer.version.unwrap_or(Version::new(0, 0, 0));
        let content = self.content(version)?;
        let whole = |mut content: Bytes| -> ByteStream {
            let count = content.len().div_ceil(PIECE);
            let next = move |_| Ok(content.split_to(content.len().min(PIECE)));
            Box::pin(stream::iter((0..count).map(next)))
        };
        match self.trouble() {
            Trouble::None | Trouble::Resolve(_) | Trouble::Mute | Trouble::Partly(_) => {
                Ok(whole(content))
            }
            Trouble::Fetch(error) => Err(error),
            Trouble::BreaksOff => {
                let half = content.slice(..content.len() / 2);
                let broken = ProviderError::NoFile("the connection broke off".into());
                Ok(Box::pin(stream::iter([Ok(half), Err(broken)])))
            }
            Trouble::OtherBytes => Ok(whole(Bytes::from_static(b"garbage"))),
            Trouble::Slow => {
                self.released.notified().await;
                Ok(whole(content))
            }
        }
    }

    async fn versions(&self, wishes: &[WantedRelease]) -> Result<Option<Listed>, ProviderError> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        let mut incomplete = Vec::new();
        match self.trouble() {
            Trouble::Resolve(error) => return Err(error),
            Trouble::Mute => self.released.notified().await,
            Trouble::Partly(reasons) => incomplete = reasons,
            _ => {}
        }
        let all = self.releases().keys().copied().collect();
        Ok(Some(Listed {
            versions: if wishes.is_empty() { Vec::new() } else { all },
            incomplete,
        }))
    }
}
