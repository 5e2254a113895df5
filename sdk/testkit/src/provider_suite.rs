//! What every [`WpkProvider`] must do, as one call for the author of a provider:
//!
//! ```no_run
//! # use wpk_testkit::provider_suite::{self, Published};
//! # async fn example(publish: impl Fn(bytes::Bytes) -> Published) {
//! provider_suite::run(async |file| publish(file)).await;
//! # }
//! ```
//!
//! The author's function makes these bytes the answer to some wish, wherever the
//! provider gets its files from, and says in a [`Published`] which wish that is
//! and how to open the provider. It is called many times. The suite panics with
//! the first thing that is wrong. Its parts: the sentences of the trait
//! ([`contract`]), the bytes themselves ([`streams`]), callers that give up
//! ([`cancel`]).
//!
//! The memory of the whole process is watched while the huge file is streamed,
//! so the suite should be alone in its test binary.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use wpk_api::{Offer, OfferSource, ProviderError, Wanted, WpkProvider};

use crate::suite::{Keep, Opener, Options, ok, within};

pub mod cancel;
pub mod contract;
pub mod streams;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run<M>(publish: M)
where
    M: AsyncFn(Bytes) -> Published,
{
    run_with(publish, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with<M>(publish: M, options: &Options)
where
    M: AsyncFn(Bytes) -> Published,
{
    contract::run(&publish).await;
    streams::run(&publish, options).await;
    cancel::run(&publish).await;
    options.no_leaks().await;
}

/// A file that is the answer to a wish, and the provider that knows it.
pub struct Published {
    open: Opener<dyn WpkProvider>,
    wanted: Wanted,
    missing: Vec<Wanted>,
    foreign: Vec<Wanted>,
    take_away: Option<Box<dyn Fn() + Send + Sync>>,
    slow_down: Option<Box<dyn Fn(bool) + Send + Sync>>,
    keep: Keep,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Published {
    /// The file answers `wanted`; `open` opens the provider, each time on the
    /// same data.
    pub fn new<F, Fut>(wanted: Wanted, open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn WpkProvider>> + Send + 'static,
    {
        Self {
            open: Opener::new(open),
            wanted,
            missing: Vec::new(),
            foreign: Vec::new(),
            take_away: None,
            slow_down: None,
            keep: None,
        }
    }

    /// A wish of the provider's kind that nothing answers: a version that is
    /// not listed, a file that is not there.
    #[must_use]
    pub fn missing(mut self, wanted: Wanted) -> Self {
        self.missing.push(wanted);
        self
    }

    /// A wish that is for another provider.
    #[must_use]
    pub fn foreign(mut self, wanted: Wanted) -> Self {
        self.foreign.push(wanted);
        self
    }

    /// How to take the file away behind the provider's back, leaving what
    /// lists it.
    #[must_use]
    pub fn take_away(mut self, take_away: impl Fn() + Send + Sync + 'static) -> Self {
        self.take_away = Some(Box::new(take_away));
        self
    }

    /// How to make the place that the file comes from slow, for example 400 kB
    /// a second in small pieces, and fast again (`false`).
    #[must_use]
    pub fn slow_down(mut self, slow_down: impl Fn(bool) + Send + Sync + 'static) -> Self {
        self.slow_down = Some(Box::new(slow_down));
        self
    }

    /// What must live until the suite is done with the file: a server, a folder.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    async fn open(&self) -> Arc<dyn WpkProvider> {
        self.open.open().await
    }
}

/// The offer that answers a wish.
async fn resolved(provider: &dyn WpkProvider, wanted: &Wanted) -> Offer {
    ok(
        "resolving the wish for the published file",
        within("resolve", provider.resolve(wanted)).await,
    )
}

/// The bytes of an offer: streamed, or read in place.
async fn bytes_of(provider: &dyn WpkProvider, offer: &Offer) -> Result<Vec<u8>, ProviderError> {
    if let OfferSource::Local(path) = &offer.source {
        return tokio::fs::read(path)
            .await
            .map_err(|error| ProviderError::NoFile(error.to_string()));
    }
    let read = async {
        let mut stream = provider.fetch(offer).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    };
    within("streaming the file", read).await
}

/// The provider still delivers the file as it was published.
async fn delivers(provider: &dyn WpkProvider, wanted: &Wanted, file: &[u8]) {
    let offer = resolved(provider, wanted).await;
    let bytes = ok("fetching the file", bytes_of(provider, &offer).await);
    same(&bytes, file);
}

#[track_caller]
fn same(bytes: &[u8], file: &[u8]) {
    let differ = bytes.iter().zip(file).position(|(one, other)| one != other);
    assert!(
        differ.is_none() && bytes.len() == file.len(),
        "{} bytes were published, {} came; they differ from byte {} on",
        file.len(),
        bytes.len(),
        differ.unwrap_or(bytes.len().min(file.len()))
    );
}
