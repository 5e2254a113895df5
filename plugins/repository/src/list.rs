//! One list of versions, over HTTP (PROTOCOL.md, section 4). `provider` and
//! `examine` enter here.

use std::time::Duration;

use reqwest::header::{DATE, HeaderValue};
use reqwest::{Client, StatusCode};
use wpk_api::ProviderError;
use wpk_api::repository::{MAX_BYTES, Versions, VersionsError};

use crate::client::Failure;

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) versions: Versions,
    /// What time the server said it is.
    pub(crate) date: Option<HeaderValue>,
}

/// Why there is none; the URL is told by the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoList {
    /// There was no answer.
    #[error("{0}")]
    Request(Failure),
    /// It is no success.
    #[error("HTTP {0}")]
    Status(StatusCode),
    /// It was not complete in time.
    #[error("no complete answer within {0:?}")]
    Slow(Duration),
    /// It is no list.
    #[error(transparent)]
    Unusable(#[from] VersionsError),
}

impl From<reqwest::Error> for NoList {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.into())
    }
}

impl NoList {
    /// The server says that there is no such file.
    pub(crate) fn not_found(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND))
    }

    /// The provider's word for it.
    pub(crate) fn at(&self, url: &str) -> ProviderError {
        ProviderError::NotReachable(format!("{url}: {self}"))
    }
}

/// Reads a list, asked for once: a wrong address must be reported fast, and a
/// task can be asked for again. `limit` is for all of it.
pub(crate) async fn fetch(client: &Client, url: &str, limit: Duration) -> Result<List, NoList> {
    let (file, date) = tokio::time::timeout(limit, get(client, url))
        .await
        .map_err(|_elapsed| NoList::Slow(limit))??;
    let versions = Versions::parse(&file)?;
    if !versions.skipped().is_empty() {
        tracing::warn!(url, lines = ?versions.skipped(), "lines that are no version and SHA-1 were skipped");
    }
    Ok(List { versions, date })
}

async fn get(client: &Client, url: &str) -> Result<(Vec<u8>, Option<HeaderValue>), NoList> {
    let mut response = client.get(url).send().await?;
    if !response.status().is_success() {
        return Err(NoList::Status(response.status()));
    }
    let date = response.headers().get(DATE).cloned();
    let mut file = Vec::new();
    while let Some(piece) = response.chunk().await? {
        file.extend_from_slice(&piece);
        if file.len() > MAX_BYTES {
            return Err(VersionsError::TooLong.into());
        }
    }
    Ok((file, date))
}
