//! The cache with providers of its own: what is downloaded once, what is refused,
//! what is not mixed up.

mod room;

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha1::{Digest, Sha1 as Hasher};
use tempfile::TempDir;
use wpk_api::settings::ByteSize;
use wpk_api::{ByteStream, Offer, ProviderError, Wanted, WpkProvider};
use wpk_config::Sources;
use wpk_testkit::wpk::SigningCa;

use super::memory::REFUSED_FOR;
use super::room::INDEX;
use super::*;
use crate::clock::{SharedClock, WallClock};
use crate::trust;

/// Making keys is slow.
static TRUSTED: LazyLock<SigningCa> = LazyLock::new(|| SigningCa::new().unwrap());
static STRANGER: LazyLock<SigningCa> = LazyLock::new(|| SigningCa::new().unwrap());

/// Offers what it holds, and counts how often it was fetched.
struct Holder {
    content: Vec<u8>,
    fetched: AtomicUsize,
}

impl Holder {
    fn of(content: Vec<u8>) -> Arc<Self> {
        let fetched = AtomicUsize::new(0);
        Arc::new(Self { content, fetched })
    }

    fn signed_by(ca: &SigningCa) -> Arc<Self> {
        Self::of(ca.package(&[("upgrade.sh", b"#!/bin/sh\n")]).unwrap())
    }

    fn offer(self: &Arc<Self>) -> Resolved {
        Resolved {
            offer: Offer {
                file_name: "agent.wpk".into(),
                version: None,
                sha1: Some(sha1(&self.content)),
                source: OfferSource::Download("somewhere".into()),
            },
            provider: self.clone(),
        }
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
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
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let piece = Ok(Bytes::from(self.content.clone()));
        Ok(Box::pin(futures_util::stream::iter([piece])))
    }
}

fn sha1(content: &[u8]) -> Sha1 {
    Sha1(Hasher::digest(content).into())
}

/// A cache with `cache.verify_signature` in a folder of its own, as the
/// settings ask for it.
fn verifying() -> (TempDir, Cache) {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ca.pem"), TRUSTED.certificate_pem()).unwrap();
    let file = home.path().join("wpkd.toml");
    let toml = "[cache]\ndir = \"wpks\"\nverify_signature = true\nca_store = [\"ca.pem\"]\n";
    std::fs::write(&file, toml).unwrap();
    let sources = Sources {
        file: Some(file),
        home: Some(home.path().to_owned()),
    };
    let settings = wpk_config::load(&sources, None).unwrap();
    let clock: SharedClock = Arc::new(WallClock);
    let signers = trust::load(&settings, &clock).unwrap();
    assert!(signers.is_some());
    let cache = Cache::open(settings.path(&settings.cache.dir), &settings.cache, signers).unwrap();
    (home, cache)
}

/// The names in the cache's folder.
fn names(home: &TempDir) -> Vec<std::ffi::OsString> {
    let folder = std::fs::read_dir(home.path().join("wpks")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != INDEX).collect()
}

#[tokio::test]
async fn a_well_signed_file_is_downloaded_once_and_kept() {
    let (home, cache) = verifying();
    let holder = Holder::signed_by(&TRUSTED);
    for _ in 0..2 {
        let file = cache.get(&holder.offer()).await.unwrap();
        assert_eq!(file.sha1, sha1(&holder.content));
    }
    assert_eq!((names(&home).len(), holder.fetched()), (1, 1));
}

#[tokio::test]
async fn a_badly_signed_file_gets_no_name_and_is_downloaded_once() {
    let (home, cache) = verifying();
    let holder = Holder::signed_by(&STRANGER);
    for _ in 0..3 {
        let failure = cache.get(&holder.offer()).await.unwrap_err();
        assert!(failure.cause.contains("somewhere"), "{failure}");
        assert!(failure.cause.contains("Test signer"), "{failure}");
    }
    assert_eq!(names(&home), [""; 0], "nothing lies in the cache");
    assert_eq!(holder.fetched(), 1);
}

/// It came into the folder before signatures were checked.
#[tokio::test]
async fn a_badly_signed_file_that_is_in_the_cache_is_taken_away() {
    let (home, cache) = verifying();
    let holder = Holder::signed_by(&STRANGER);
    std::fs::write(home.path().join("wpks/agent.wpk"), &holder.content).unwrap();
    for _ in 0..2 {
        cache.get(&holder.offer()).await.unwrap_err();
    }
    assert_eq!(names(&home), [""; 0]);
    // The repository lists exactly these bytes: asking it for them is in vain.
    assert_eq!(holder.fetched(), 0);
}

#[tokio::test]
async fn a_badly_signed_file_gives_way_to_a_good_one_of_its_name() {
    let (home, cache) = verifying();
    let (bad, good) = (Holder::signed_by(&STRANGER), Holder::signed_by(&TRUSTED));
    std::fs::write(home.path().join("wpks/agent.wpk"), &bad.content).unwrap();
    for _ in 0..2 {
        cache.get(&bad.offer()).await.unwrap_err();
        let file = cache.get(&good.offer()).await.unwrap();
        assert_eq!(file.sha1, sha1(&good.content));
    }
    assert_eq!((bad.fetched(), good.fetched()), (0, 1));
    let kept = std::fs::read(home.path().join("wpks/agent.wpk")).unwrap();
    assert_eq!(kept, good.content);
}

/// A clock may have been wrong: the verdict is not for ever.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_thought_over_after_a_while() {
    let (_home, cache) = verifying();
    let holder = Holder::signed_by(&STRANGER);
    cache.get(&holder.offer()).await.unwrap_err();
    tokio::time::advance(REFUSED_FOR - Duration::from_secs(1)).await;
    cache.get(&holder.offer()).await.unwrap_err();
    assert_eq!(holder.fetched(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    cache.get(&holder.offer()).await.unwrap_err();
    assert_eq!(holder.fetched(), 2);
}

#[tokio::test]
async fn a_badly_signed_custom_file_is_refused_and_left_where_it_is() {
    let (home, cache) = verifying();
    let path = home.path().join("custom.wpk");
    let offer = |path: &Path| Resolved {
        offer: Offer {
            file_name: "custom.wpk".into(),
            version: None,
            sha1: None,
            source: OfferSource::Local(path.to_owned()),
        },
        provider: Holder::of(Vec::new()),
    };
    std::fs::write(&path, &Holder::signed_by(&STRANGER).content).unwrap();
    for _ in 0..2 {
        let failure = cache.get(&offer(&path)).await.unwrap_err();
        assert!(failure.cause.contains("custom.wpk"), "{failure}");
    }
    assert!(path.exists());
    std::fs::write(&path, &Holder::signed_by(&TRUSTED).content).unwrap();
    cache.get(&offer(&path)).await.unwrap();
}

/// Two repositories may have different files of one name. Whoever asks for
/// one must never be given the other, whichever is put into place last.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_of_one_name_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path().to_owned(), &sizes(1 << 20, None), None).unwrap();
    let cache = Arc::new(cache);
    let offers: Vec<Resolved> = (0..8u8)
        .map(|content| Holder::of(vec![content; 10]).offer())
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
            let bytes = file.read_at(0, 100).unwrap();
            assert_eq!(Some(sha1(&bytes)), offer.offer.sha1);
        }
    }
}

fn local(path: &Path, name: &str) -> Resolved {
    Resolved {
        offer: Offer {
            file_name: name.into(),
            version: None,
            sha1: None,
            source: OfferSource::Local(path.to_owned()),
        },
        provider: Holder::of(Vec::new()),
    }
}

fn sizes(max_size: u64, max_total: Option<u64>) -> CacheSettings {
    CacheSettings {
        max_size: ByteSize(max_size),
        max_total: max_total.map(ByteSize),
        ..CacheSettings::default()
    }
}

fn plain(max_size: u64) -> (TempDir, Cache) {
    let home = TempDir::new().unwrap();
    let cache = opened(&home, &sizes(max_size, None));
    (home, cache)
}

fn opened(home: &TempDir, sizes: &CacheSettings) -> Cache {
    Cache::open(home.path().join("wpks"), sizes, None).unwrap()
}

#[tokio::test]
async fn two_links_to_one_file_have_their_own_names() {
    let (home, cache) = plain(1 << 20);
    let path = home.path().join("x.wpk");
    std::fs::write(&path, [7; 1000]).unwrap();
    let (one, other) = (local(&path, "one.wpk"), local(&path, "other.wpk"));
    let (one, other) = tokio::join!(cache.get(&one), cache.get(&other));
    assert_eq!(
        (one.unwrap().name, other.unwrap().name),
        ("one.wpk".into(), "other.wpk".into())
    );
}

#[tokio::test]
async fn a_file_is_read_for_its_other_digest_once_however_many_ask() {
    let (_home, cache) = plain(1 << 20);
    let holder = Holder::of(vec![1; 1000]);
    let (one, other) = (holder.offer(), holder.offer());
    let one = cache.get(&one).await.unwrap();
    assert!(one.sha256.get().is_none(), "nobody asked for it");
    let digest = cache.sha256(&one).await.unwrap();
    assert_eq!(digest.0, <[u8; 32]>::from(sha2::Sha256::digest([1; 1000])));
    let again = cache.get(&other).await.unwrap();
    assert_eq!(again.sha256.get(), Some(&digest), "of a later delivery");
}

#[tokio::test]
async fn a_custom_file_that_is_too_long_is_refused_unread() {
    let (home, cache) = plain(1 << 20);
    let path = home.path().join("sparse.wpk");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(4 << 40).unwrap();
    let failure = cache.get(&local(&path, "sparse.wpk")).await.unwrap_err();
    assert_eq!(failure.code, UpgradeCode::FileNotFound);
    assert!(failure.cause.contains("cache.max_size"), "{failure}");
}

#[tokio::test]
async fn hashing_ends_when_nobody_waits_for_it() {
    let (home, cache) = plain(u64::MAX);
    let path = home.path().join("sparse.wpk");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let cache = Arc::new(cache);
    let folder = Arc::downgrade(&cache.folder);
    let asked = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get(&local(&path, "sparse.wpk")).await })
    };
    while folder.strong_count() < 2 {
        tokio::task::yield_now().await;
    }
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    drop(cache);
    // The thread that hashed holds the folder to its end.
    let ended = async {
        while folder.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the thread goes on hashing");
}

/// With its old length and time, it looks like the file that was hashed.
#[tokio::test]
async fn a_file_that_was_changed_in_place_is_fetched_anew_once_it_is_doubted() {
    let (home, cache) = plain(1 << 20);
    let holder = Holder::of(vec![1; 1000]);
    let file = cache.get(&holder.offer()).await.unwrap();
    let path = home.path().join("wpks/agent.wpk");
    let modified = path.metadata().unwrap().modified().unwrap();
    let changed = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&changed, &[2; 10], 0).unwrap();
    changed.set_modified(modified).unwrap();
    cache.get(&holder.offer()).await.unwrap();
    assert_eq!(holder.fetched(), 1, "nothing shows that it changed");
    cache.doubt(&file);
    let file = cache.get(&holder.offer()).await.unwrap();
    assert_eq!(holder.fetched(), 2);
    let bytes = file.read_at(0, 1000).unwrap();
    assert_eq!(sha1(&bytes), sha1(&holder.content));
}

#[tokio::test]
async fn a_folder_that_was_taken_away_is_made_again() {
    let (home, cache) = plain(1 << 20);
    std::fs::remove_dir_all(home.path().join("wpks")).unwrap();
    let holder = Holder::of(vec![1; 1000]);
    cache.get(&holder.offer()).await.unwrap();
    assert_eq!(names(&home).len(), 1);
}

/// It lists the same name and digest, and never delivers.
struct Hanging;

#[async_trait]
impl WpkProvider for Hanging {
    fn serves(&self, _: &Wanted) -> bool {
        true
    }

    async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
        Err(ProviderError::NotListed("nobody asks".into()))
    }

    async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_repository_that_hangs_is_in_no_other_repositorys_way() {
    let (_home, cache) = plain(1 << 20);
    let holder = Holder::of(vec![1; 1000]);
    let mut hanging = holder.offer();
    hanging.offer.source = OfferSource::Download("elsewhere".into());
    hanging.provider = Arc::new(Hanging);
    let (good, never) = (holder.offer(), cache.get(&hanging));
    tokio::select! {
        biased;
        _ = never => panic!("it never delivers"),
        file = cache.get(&good) => assert_eq!(file.unwrap().sha1, sha1(&holder.content)),
    }
}
