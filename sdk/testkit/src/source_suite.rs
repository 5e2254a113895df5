//! What every [`RequestSource`] must do, as one call for its author:
//!
//! ```no_run
//! # use wpk_testkit::source_suite::{self, Stand};
//! # async fn example(set_up: impl Fn() -> Stand) {
//! source_suite::run(async || set_up()).await;
//! # }
//! ```
//!
//! The author's function says in a [`Stand`] how to open the source and how a
//! client connects to it. The suite plays the engine and the clients. It panics
//! with the first thing that is wrong. Its parts: requests and answers
//! ([`contract`]), clients that are slow, silent or gone ([`patience`]), the
//! end ([`stop`]). A source whose requests are never answered has a suite of its
//! own, [`one_way`].

use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use wpk_api::{CancellationToken, Endpoint, Peer, RequestSource, SourceError};

use crate::suite::{Keep, Opener, Options, ok, within};

pub mod contract;
mod engine;
pub mod one_way;
pub mod patience;
pub mod stop;

use engine::Engine;

/// The whole suite. Needs a tokio runtime, better one with several threads.
pub async fn run<M>(set_up: M)
where
    M: AsyncFn() -> Stand,
{
    run_with(set_up, &Options::default()).await;
}

/// The whole suite with options.
pub async fn run_with<M>(set_up: M, options: &Options)
where
    M: AsyncFn() -> Stand,
{
    contract::run(&set_up).await;
    patience::run(&set_up).await;
    stop::run(&set_up).await;
    options.no_leaks().await;
}

/// One connection to a source.
#[async_trait]
pub trait SourceClient: Send {
    /// Sends one request.
    ///
    /// # Errors
    /// If the source has closed the connection.
    async fn send(&mut self, request: &[u8]) -> io::Result<()>;

    /// Sends only the beginning of a request.
    ///
    /// # Errors
    /// If the source has closed the connection.
    async fn begin(&mut self, request: &[u8]) -> io::Result<()>;

    /// The next answer; `None`: the source closed the connection.
    ///
    /// # Errors
    /// If there is none in a minute, or one that breaks off.
    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>>;
}

#[async_trait]
impl SourceClient for crate::Client {
    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        Self::send(self, request).await
    }

    async fn begin(&mut self, request: &[u8]) -> io::Result<()> {
        let length = u32::try_from(request.len() + 1).map_err(io::Error::other)?;
        self.send_raw(length.to_le_bytes()).await?;
        self.send_raw(request).await
    }

    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        Self::receive(self).await
    }
}

/// A new connection to an endpoint.
type Connect =
    Box<dyn Fn(Endpoint) -> BoxFuture<'static, io::Result<Box<dyn SourceClient>>> + Send + Sync>;

/// A source and the way to it.
pub struct Stand {
    open: Opener<dyn RequestSource>,
    connect: Connect,
    endpoints: Vec<Endpoint>,
    peer: Peer,
    max_request: Option<usize>,
    one_request: bool,
    keep: Keep,
}

impl fmt::Debug for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stand")
            .field("endpoints", &self.endpoints)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Stand {
    /// `open` opens the source, each time at the same place; `connect` makes a
    /// connection to one of its endpoints (both, unless [`Self::endpoints`]
    /// says otherwise), which the source should see coming from `peer`.
    pub fn new<F, Fut, C, Conn>(peer: Peer, open: F, connect: C) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Arc<dyn RequestSource>> + Send + 'static,
        C: Fn(Endpoint) -> Conn + Send + Sync + 'static,
        Conn: Future<Output = io::Result<Box<dyn SourceClient>>> + Send + 'static,
    {
        Self {
            open: Opener::new(open),
            connect: Box::new(move |endpoint| Box::pin(connect(endpoint))),
            endpoints: vec![Endpoint::Upgrade, Endpoint::Task],
            peer,
            max_request: None,
            one_request: false,
            keep: None,
        }
    }

    /// The endpoints it has.
    #[must_use]
    pub fn endpoints(mut self, endpoints: impl Into<Vec<Endpoint>>) -> Self {
        self.endpoints = endpoints.into();
        self
    }

    /// The longest request it takes, in bytes; what is longer is tried too.
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = Some(bytes);
        self
    }

    /// Its clients send one request per connection.
    #[must_use]
    pub fn one_request_per_connection(mut self) -> Self {
        self.one_request = true;
        self
    }

    /// What must live as long as the stand.
    #[must_use]
    pub fn keep(mut self, keep: impl std::any::Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoints.first().copied().unwrap_or(Endpoint::Upgrade)
    }

    async fn connect(&self, endpoint: Endpoint) -> Box<dyn SourceClient> {
        let connecting = within("connecting", (self.connect)(endpoint)).await;
        ok("connecting to the source", connecting)
    }

    /// Opens the source and serves it.
    async fn serve(&self) -> Served {
        let source = self.open.open().await;
        let (engine, stop) = (Arc::new(Engine::default()), CancellationToken::new());
        let serving = tokio::spawn({
            let (engine, stop) = (Arc::clone(&engine), stop.clone());
            async move { source.serve(engine, stop).await }
        });
        Served {
            engine,
            stop,
            serving,
        }
    }

    /// A request on a connection of its own is answered.
    async fn is_answered(&self, endpoint: Endpoint, request: &[u8]) {
        let mut client = self.connect(endpoint).await;
        exchange(&mut *client, endpoint, request).await;
    }

    /// Nothing is answered any more: no connection, or none that is served.
    async fn is_not_answered(&self, endpoint: Endpoint) {
        let connecting = within("connecting", (self.connect)(endpoint)).await;
        let Ok(mut client) = connecting else { return };
        if client.send(b"hello").await.is_ok() {
            let answer = within("the end of a connection", client.receive()).await;
            assert!(
                !matches!(answer, Ok(Some(_))),
                "the source was stopped and still answers"
            );
        }
    }
}

/// Sends a request and compares the answer.
async fn exchange(client: &mut dyn SourceClient, endpoint: Endpoint, request: &[u8]) {
    ok(
        "sending a request",
        within("sending", client.send(request)).await,
    );
    receives(client, endpoint, request).await;
}

async fn receives(client: &mut dyn SourceClient, endpoint: Endpoint, request: &[u8]) {
    let answer = within("an answer", client.receive()).await;
    let answer = ok("receiving an answer", answer);
    let expected = engine::answer(endpoint, request);
    assert!(
        answer.as_deref() == Some(&*expected),
        "of {} bytes the answer should be {} bytes, and is {:?}",
        request.len(),
        expected.len(),
        answer.map(|answer| answer.len())
    );
}

/// A source that is being served.
struct Served {
    engine: Arc<Engine>,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), SourceError>>,
}

impl Served {
    /// Stops the source and waits for its end.
    async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    async fn ended(self) {
        let ended = within("the end of a stopped source", self.serving).await;
        let outcome = ok("serving", ended);
        ok("a source that was told to stop", outcome);
    }
}
