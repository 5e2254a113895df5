//! One list of versions, over HTTP (PROTOCOL.md, section 4). `provider` and
//! `examine` enter here.

use std::time::Duration;

use reqwest::header::{DATE, HeaderValue};
use reqwest::{Client, StatusCode};
use wpk_api::ProviderError;
use wpk_api::repository::{Login, MAX_BYTES, Versions, VersionsError};

use crate::client::Failure;
use crate::login::signed;

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
    /// It broke off.
    #[error("the answer broke off: {0}")]
    Broken(Failure),
    /// It is no success.
    #[error("HTTP {0}")]
    Status(StatusCode),
    /// The server could not answer, or broke off, however often it was asked.
    #[error("{last} (attempts: {attempts})")]
    Again {
        /// The last answer.
        last: Box<NoList>,
        /// How often it was asked.
        attempts: u32,
    },
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
    fn broken(error: reqwest::Error) -> Self {
        Self::Broken(error.into())
    }

    /// Whether the next answer may be another one.
    fn passes(&self) -> bool {
        match self {
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Broken(_) => true,
            _ => false,
        }
    }

    /// The server says that there is no such file.
    pub(crate) fn not_found(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND))
    }

    /// The provider's word for it.
    pub(crate) fn at(&self, url: &str) -> ProviderError {
        let advice = match self {
            Self::Status(StatusCode::UNAUTHORIZED) => {
                " (it wants a user and a password, or others: see url, user and password_file)"
            }
            Self::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
                " (the proxy wants a user and a password, or others)"
            }
            _ => "",
        };
        ProviderError::NotReachable(format!("{url}: {self}{advice}"))
    }
}

/// How often a list is asked for where the server cannot answer just now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The longest that one answer may take, all of it.
    pub(crate) limit: Duration,
    /// How often it is asked.
    pub(crate) attempts: u32,
    /// The pause after the first failure; it grows by as much with each.
    pub(crate) pause: Duration,
}

/// Reads a list. It is asked for again where the server says that it cannot answer
/// just now (5xx, 429) or breaks off in the middle. Whatever else is wrong is told
/// at once: a wrong address must be reported fast.
pub(crate) async fn fetch(
    client: &Client,
    url: &str,
    login: Option<&Login>,
    patience: Patience,
) -> Result<List, NoList> {
    let mut failures = 0;
    loop {
        let error = match fetch_once(client, url, login, patience.limit).await {
            Err(error) if error.passes() => error,
            done => return done,
        };
        failures += 1;
        if failures >= patience.attempts {
            return Err(match failures {
                1 => error,
                attempts => NoList::Again {
                    last: Box::new(error),
                    attempts,
                },
            });
        }
        let pause = patience.pause.saturating_mul(failures);
        tracing::warn!(url, %error, attempt = failures, ?pause, "the list of versions is asked for again");
        tokio::time::sleep(pause).await;
    }
}

async fn fetch_once(
    client: &Client,
    url: &str,
    login: Option<&Login>,
    limit: Duration,
) -> Result<List, NoList> {
    let (file, date) = tokio::time::timeout(limit, get(client, url, login))
        .await
        .map_err(|_elapsed| NoList::Slow(limit))??;
    let versions = Versions::parse(&file)?;
    if !versions.skipped().is_empty() {
        tracing::warn!(url, lines = ?versions.skipped(), "lines that are no version and SHA-1 were skipped");
    }
    Ok(List { versions, date })
}

async fn get(
    client: &Client,
    url: &str,
    login: Option<&Login>,
) -> Result<(Vec<u8>, Option<HeaderValue>), NoList> {
    let mut response = signed(client.get(url), login).send().await?;
    if !response.status().is_success() {
        return Err(NoList::Status(response.status()));
    }
    let date = response.headers().get(DATE).cloned();
    let mut file = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(NoList::broken)? {
        file.extend_from_slice(&piece);
        if file.len() > MAX_BYTES {
            return Err(VersionsError::TooLong.into());
        }
    }
    Ok((file, date))
}
