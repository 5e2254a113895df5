//! One download: a stream of bytes that survives broken connections.
//!
//! `provider` enters here. An attempt that fails in the middle is followed by one
//! that goes on where it stopped: with a range where the server can prove that
//! the file is still the same one (`If-Range`), otherwise from the start, dropping
//! what was delivered before. Whether the pieces belong together is decided by
//! the digest, which the engine checks.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::{Instant, timeout};
use wpk_api::repository::Login;
use wpk_api::{ByteStream, ProviderError};

use crate::client::Failure;
use crate::login::signed;

/// What bounds a download.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How often it is tried.
    pub(crate) attempts: u32,
    /// The longest time without a byte.
    pub(crate) stall: Duration,
    /// The longest time for everything.
    pub(crate) total: Duration,
    /// The pause after the first failure; it grows by as much with each.
    pub(crate) pause: Duration,
    /// The most bytes.
    pub(crate) size: u64,
}

pub(crate) struct Download {
    client: Client,
    url: Url,
    login: Option<Login>,
    limits: Limits,
    started: Instant,
    failures: u32,
    /// Bytes handed out so far.
    delivered: u64,
    /// The length of the file, once a server has told it.
    length: Option<u64>,
    /// What the file is recognised by when it is asked for again.
    validator: Option<HeaderValue>,
    body: Option<Body>,
    ended: bool,
}

/// A response being read.
struct Body {
    response: Response,
    /// Bytes at its start that were delivered before.
    skip: u64,
}

/// What went wrong in an attempt.
enum Trouble {
    /// Another attempt may do better.
    Passing(String),
    /// It will not.
    Final(String),
}

impl Download {
    pub(crate) fn new(client: Client, url: Url, login: Option<Login>, limits: Limits) -> Self {
        Self {
            client,
            url,
            login,
            limits,
            started: Instant::now(),
            failures: 0,
            delivered: 0,
            length: None,
            validator: None,
            body: None,
            ended: false,
        }
    }

    /// The bytes; nothing is asked of the server before the first is awaited.
    pub(crate) fn into_stream(self) -> ByteStream {
        Box::pin(stream::unfold(self, |mut download| async move {
            if download.ended {
                return None;
            }
            match download.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), download)),
                Ok(None) => None,
                Err(error) => {
                    download.ended = true;
                    Some((Err(error), download))
                }
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ProviderError> {
        loop {
            let cause = match self.piece().await {
                Ok(piece) => return Ok(piece),
                Err(Trouble::Final(cause)) => return Err(self.no_file(&cause)),
                Err(Trouble::Passing(cause)) => cause,
            };
            self.body = None;
            self.failures += 1;
            if self.failures >= self.limits.attempts {
                return Err(self.no_file(&self.broken(&cause)));
            }
            let pause = self.limits.pause.saturating_mul(self.failures);
            tracing::warn!(
                url = %self.url, cause, delivered = self.delivered, attempt = self.failures,
                ?pause, "the download broke off and will be continued"
            );
            tokio::time::sleep(pause.min(self.time_left())).await;
        }
    }

    /// The next bytes of the attempt under way, or of a new one.
    async fn piece(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            if self.length == Some(self.delivered) {
                // Not left to the connection: the length says that this is all.
                return Ok(None);
            }
            let wait = self.limits.stall.min(self.time_left());
            if wait.is_zero() {
                return Err(Trouble::Final(format!(
                    "the download took longer than {:?} (max_time)",
                    self.limits.total
                )));
            }
            let stalled = |_| Trouble::Passing(format!("no byte came for {wait:?}"));
            let Some(body) = &mut self.body else {
                self.body = Some(timeout(wait, self.open()).await.map_err(stalled)??);
                continue;
            };
            let read = timeout(wait, body.response.chunk())
                .await
                .map_err(stalled)?;
            let mut bytes =
                match read.map_err(|error| Trouble::Passing(Failure::from(error).to_string()))? {
                    Some(bytes) => bytes,
                    None if self.length.is_some() || body.skip > 0 => {
                        return Err(Trouble::Passing("the server ended the file early".into()));
                    }
                    None => return Ok(None),
                };
            let known = usize::try_from(body.skip)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            body.skip -= bytes.split_to(known).len() as u64;
            if bytes.is_empty() {
                continue;
            }
            self.delivered += bytes.len() as u64;
            self.check_size(self.delivered)?;
            return Ok(Some(bytes));
        }
    }

    /// Begins an attempt.
    async fn open(&mut self) -> Result<Body, Trouble> {
        let request = self.client.get(self.url.clone());
        let mut request = signed(request, self.login.as_ref()).header(ACCEPT_ENCODING, "identity");
        let resume = self.validator.clone().filter(|_| self.delivered > 0);
        if let Some(validator) = &resume {
            request = request
                .header(RANGE, format!("bytes={}-", self.delivered))
                .header(IF_RANGE, validator);
        }
        let response = request.send().await.map_err(|error| {
            // What a redirect is refused for will not change.
            let refused = error.is_redirect();
            let cause = Failure::from(error).to_string();
            if refused {
                Trouble::Final(cause)
            } else {
                Trouble::Passing(cause)
            }
        })?;
        let status = response.status();
        let (length, skip) = match status {
            StatusCode::PARTIAL_CONTENT if resume.is_some() => {
                let range = response
                    .headers()
                    .get(CONTENT_RANGE)
                    .and_then(read_content_range);
                match range {
                    Some((first, length)) if first == self.delivered => (Some(length), 0),
                    _ => {
                        self.validator = None;
                        let cause = "the answer is another range than was asked for";
                        return Err(Trouble::Passing(cause.into()));
                    }
                }
            }
            StatusCode::PARTIAL_CONTENT => {
                let cause = "the answer is a part of the file, which was not asked for";
                return Err(Trouble::Passing(cause.into()));
            }
            status if status.is_success() => {
                self.validator = validator(response.headers());
                (response.content_length(), self.delivered)
            }
            status => {
                // If the range was the reason, the next attempt does without.
                self.validator = None;
                return Err(Trouble::Passing(format!("HTTP {status}")));
            }
        };
        if let Some(length) = length {
            if self.delivered > 0 && self.length.is_some_and(|before| before != length) {
                return Err(Trouble::Final(
                    "the file changed while it was downloaded".into(),
                ));
            }
            self.check_size(length)?;
        }
        self.length = length;
        Ok(Body { response, skip })
    }

    fn check_size(&self, size: u64) -> Result<(), Trouble> {
        if size <= self.limits.size {
            return Ok(());
        }
        Err(Trouble::Final(format!(
            "the file is larger than {} bytes (max_size)",
            self.limits.size
        )))
    }

    fn time_left(&self) -> Duration {
        self.limits.total.saturating_sub(self.started.elapsed())
    }

    /// A download that broke off is another matter than a file that is not there.
    fn broken(&self, cause: &str) -> String {
        let attempts = self.failures;
        match (self.delivered, self.length) {
            (0, _) => format!("{cause} (attempts: {attempts})"),
            (delivered, Some(length)) => format!(
                "the download broke off after {delivered} of {length} bytes: {cause} (attempts: {attempts})"
            ),
            (delivered, None) => format!(
                "the download broke off after {delivered} bytes: {cause} (attempts: {attempts})"
            ),
        }
    }

    fn no_file(&self, cause: &str) -> ProviderError {
        ProviderError::NoFile(format!("{}: {cause}", self.url))
    }
}

/// What proves that a file is the same one: a strong ETag, else its date.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""));
    tag.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// Reads `bytes FIRST-LAST/LENGTH`: the first byte and the length of the file.
fn read_content_range(value: &HeaderValue) -> Option<(u64, u64)> {
    let (range, length) = value
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, length): (u64, u64, u64) = (
        first.parse().ok()?,
        last.parse().ok()?,
        length.parse().ok()?,
    );
    (first <= last && last < length).then_some((first, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_strictly() {
        let read = |text: &str| read_content_range(&HeaderValue::from_str(text).unwrap());
        assert_eq!(read("bytes 5-9/10"), Some((5, 10)));
        for bad in [
            "bytes 5-10/10",
            "bytes 5-9/*",
            "bytes */10",
            "5-9/10",
            "bytes 9-5/10",
            "",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
