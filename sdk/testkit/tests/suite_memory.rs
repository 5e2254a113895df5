//! The provider's suite finds out who reads a whole file ahead. Alone in its
//! binary, because it watches the memory of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use wpk_api::{ByteStream, Offer, OfferSource, ProviderError, Wanted, WantedFile, WpkProvider};
use wpk_testkit::provider_suite::{Published, streams};
use wpk_testkit::repository::sha1_hex;
use wpk_testkit::suite::{Options, now};

struct Memory {
    reads_ahead: bool,
    file: Bytes,
}

#[async_trait]
impl WpkProvider for Memory {
    fn serves(&self, _: &Wanted) -> bool {
        true
    }

    async fn resolve(&self, _: &Wanted) -> Result<Offer, ProviderError> {
        Ok(Offer {
            file_name: "file.wpk".into(),
            version: None,
            sha1: Some(sha1_hex(&self.file).parse().unwrap()),
            source: OfferSource::Download("memory".into()),
        })
    }

    async fn fetch(&self, _: &Offer) -> Result<ByteStream, ProviderError> {
        let copy = |piece: &[u8]| Bytes::copy_from_slice(piece);
        let pieces: Vec<Bytes> = match self.reads_ahead {
            true => self.file.chunks(32_768).map(copy).collect(),
            false => {
                let mut file = self.file.clone();
                let count = file.len().div_ceil(32_768);
                let pieces = (0..count).map(|_| file.split_to(file.len().min(32_768)));
                pieces.collect()
            }
        };
        Ok(Box::pin(stream::iter(pieces.into_iter().map(Ok))))
    }
}

async fn run(reads_ahead: bool) -> Result<(), String> {
    let publish = async |file: Bytes| {
        Published::new(Wanted::File(WantedFile { path: None }), move || {
            let file = file.clone();
            now(Arc::new(Memory { reads_ahead, file }) as Arc<dyn WpkProvider>)
        })
    };
    let options = Options::default();
    let suite = AssertUnwindSafe(streams::run(&publish, &options)).catch_unwind();
    let outcome = suite.await;
    outcome.map_err(|panic| *panic.downcast::<String>().unwrap())
}

#[tokio::test]
async fn a_file_that_is_read_ahead_is_noticed() {
    assert_eq!(run(false).await, Ok(()));
    let complaint = run(true).await.unwrap_err();
    assert!(complaint.contains("the process grew by"), "{complaint}");
}
