//! Providers that keep one file in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use wpk_api::{
    ByteStream, Offer, OfferSource, ProviderError, Version, Wanted, WantedFile, WpkProvider,
};
use wpk_testkit::provider_suite::{self, Published};
use wpk_testkit::repository::sha1_hex;
use wpk_testkit::suite::{Options, now};

use super::{complains, verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    LosesTheEnd,
    SwapsPieces,
    WrongDigest,
    OnePiece,
    FolderInName,
    DownWhenMissing,
    ServesAll,
    JammedByCancel,
    EndsWhenGone,
    KeepsBuffers,
}

struct Memory {
    fault: Fault,
    file: Bytes,
    gone: Arc<AtomicBool>,
    busy: AtomicBool,
    alive: Arc<AtomicBool>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
    }
}

fn wish(path: &str) -> Wanted {
    Wanted::File(WantedFile {
        path: Some(path.into()),
    })
}

#[async_trait]
impl WpkProvider for Memory {
    fn serves(&self, wanted: &Wanted) -> bool {
        self.fault == Fault::ServesAll
            || matches!(wanted, Wanted::File(WantedFile { path: Some(path) })
                        if path.starts_with("/memory"))
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Offer, ProviderError> {
        if self.fault == Fault::JammedByCancel && self.busy.swap(true, Ordering::SeqCst) {
            return Err(ProviderError::NotReachable("jammed".into()));
        }
        tokio::task::yield_now().await;
        self.busy.store(false, Ordering::SeqCst);
        if *wanted != wish("/memory/file") {
            return Err(match self.fault {
                Fault::DownWhenMissing => ProviderError::NotReachable("?".into()),
                _ => ProviderError::NoFile("not here".into()),
            });
        }
        let digest = match self.fault {
            Fault::WrongDigest => sha1_hex(b"other"),
            _ => sha1_hex(&self.file),
        };
        Ok(Offer {
            file_name: match self.fault {
                Fault::FolderInName => "a/file.wpk".into(),
                _ => "file.wpk".into(),
            },
            version: Some(Version::new(4, 14, 9)),
            sha1: Some(digest.parse().unwrap()),
            source: OfferSource::Download("memory".into()),
        })
    }

    async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(ProviderError::NoFile("it is gone".into()));
        }
        let mut file = self.file.clone();
        if self.fault == Fault::LosesTheEnd {
            file.truncate(file.len().saturating_sub(1));
        }
        let piece = match self.fault {
            Fault::OnePiece => usize::MAX,
            _ => 32_768,
        };
        let mut pieces: Vec<Bytes> = Vec::new();
        while !file.is_empty() {
            pieces.push(file.split_to(piece.min(file.len())));
        }
        if self.fault == Fault::SwapsPieces && pieces.len() > 2 {
            pieces.swap(0, 1);
        }
        let (alive, fault) = (Arc::clone(&self.alive), self.fault);
        let pieces = stream::unfold(pieces.into_iter(), move |mut pieces| {
            let alive = Arc::clone(&alive);
            async move {
                tokio::task::yield_now().await;
                if fault == Fault::EndsWhenGone && !alive.load(Ordering::SeqCst) {
                    return None;
                }
                Some((Ok(pieces.next()?), pieces))
            }
        });
        Ok(Box::pin(pieces))
    }
}

fn run(fault: Fault) -> String {
    verdict(move || async move {
        let kept = Arc::new(AtomicUsize::new(usize::from(fault == Fault::KeepsBuffers)));
        let options = Options::counting(move || kept.load(Ordering::SeqCst)).huge(9 << 20);
        let publish = async |file: Bytes| {
            let gone = Arc::new(AtomicBool::new(false));
            let take_away = Arc::clone(&gone);
            Published::new(wish("/memory/file"), move || {
                now(Arc::new(Memory {
                    fault,
                    file: file.clone(),
                    gone: Arc::clone(&gone),
                    busy: AtomicBool::new(false),
                    alive: Arc::new(AtomicBool::new(true)),
                }) as Arc<dyn WpkProvider>)
            })
            .missing(wish("/memory/other"))
            .foreign(wish("/elsewhere"))
            .take_away(move || take_away.store(true, Ordering::SeqCst))
        };
        provider_suite::run_with(publish, &options).await;
    })
}

#[test]
fn a_good_provider_passes() {
    assert_eq!(run(Fault::None), "");
}

#[test]
fn bad_providers_are_found_out() {
    complains(&run(Fault::LosesTheEnd), "they differ from byte 100002");
    complains(&run(Fault::SwapsPieces), "they differ from byte 0");
    complains(&run(Fault::WrongDigest), "the digest of the offer");
    complains(&run(Fault::OnePiece), "a file in memory");
    complains(&run(Fault::FolderInName), "no bare file name");
    complains(&run(Fault::DownWhenMissing), "(code 14)");
    complains(&run(Fault::ServesAll), "for another provider");
    complains(&run(Fault::JammedByCancel), "jammed");
    complains(&run(Fault::EndsWhenGone), "they differ from byte 32768");
    complains(&run(Fault::KeepsBuffers), "never given back");
}
