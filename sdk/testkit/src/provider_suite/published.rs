//! A published file as its author describes it, and what all stories do with it:
//! resolve the wish, read the bytes, compare them.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use wpk_api::{Offer, OfferSource, ProviderError, Wanted, WpkProvider};

use crate::suite::{Keep, Opener, ok, within};

/// A file that is the answer to a wish, and the provider that knows it.
pub struct Published {
    open: Opener<dyn WpkProvider>,
    pub(super) wanted: Wanted,
    pub(super) missing: Vec<Wanted>,
    pub(super) foreign: Vec<Wanted>,
    pub(super) take_away: Option<Box<dyn Fn() + Send + Sync>>,
    pub(super) slow_down: Option<Box<dyn Fn(bool) + Send + Sync>>,
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

    pub(super) async fn open(&self) -> Arc<dyn WpkProvider> {
        self.open.open().await
    }
}

/// The offer that answers a wish.
pub(super) async fn resolved(provider: &dyn WpkProvider, wanted: &Wanted) -> Offer {
    ok(
        "resolving the wish for the published file",
        within("resolve", provider.resolve(wanted)).await,
    )
}

/// The bytes of an offer: streamed, or read in place.
pub(super) async fn bytes_of(
    provider: &dyn WpkProvider,
    offer: &Offer,
) -> Result<Vec<u8>, ProviderError> {
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
pub(super) async fn delivers(provider: &dyn WpkProvider, wanted: &Wanted, file: &[u8]) {
    let offer = resolved(provider, wanted).await;
    let bytes = ok("fetching the file", bytes_of(provider, &offer).await);
    same(&bytes, file);
}

#[track_caller]
pub(super) fn same(bytes: &[u8], file: &[u8]) {
    let differ = bytes.iter().zip(file).position(|(one, other)| one != other);
    assert!(
        differ.is_none() && bytes.len() == file.len(),
        "{} bytes were published, {} came; they differ from byte {} on",
        file.len(),
        bytes.len(),
        differ.unwrap_or(bytes.len().min(file.len()))
    );
}
