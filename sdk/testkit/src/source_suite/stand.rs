//! A source and the way to it, as its author describes them; opening, serving
//! and asking it, which is what all stories are made of.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use wpk_api::{CancellationToken, Endpoint, Peer, RequestSource, SourceError};

use super::client::SourceClient;
use super::engine::{Engine, answer};
use crate::suite::{Keep, Opener, ok, within};

/// A new connection to an endpoint.
type Connect =
    Box<dyn Fn(Endpoint) -> BoxFuture<'static, io::Result<Box<dyn SourceClient>>> + Send + Sync>;

/// A source and the way to it.
pub struct Stand {
    pub(super) open: Opener<dyn RequestSource>,
    connect: Connect,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) peer: Peer,
    pub(super) max_request: Option<usize>,
    pub(super) one_request: bool,
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

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoints.first().copied().unwrap_or(Endpoint::Upgrade)
    }

    pub(super) async fn connect(&self, endpoint: Endpoint) -> Box<dyn SourceClient> {
        let connecting = within("connecting", (self.connect)(endpoint)).await;
        ok("connecting to the source", connecting)
    }

    /// A new client that has sent one request.
    pub(super) async fn sent(&self, request: &[u8]) -> Box<dyn SourceClient> {
        let mut client = self.connect(self.endpoint()).await;
        ok("sending", within("sending", client.send(request)).await);
        client
    }

    /// Clients that say nothing, every other one after half a request.
    pub(super) async fn silent(&self, count: usize) -> Vec<Box<dyn SourceClient>> {
        let mut silent = Vec::new();
        for n in 0..count {
            let mut client = self.connect(self.endpoint()).await;
            if n % 2 == 0 {
                let begun = within("sending", client.begin(b"half a requ")).await;
                ok("beginning a request", begun);
            }
            silent.push(client);
        }
        silent
    }

    /// A source that is stopped before it is served ends at once.
    pub(super) async fn is_stopped_before_it_begins(&self) {
        let source = self.open.open().await;
        let stop = CancellationToken::new();
        stop.cancel();
        let serving = source.serve(Arc::new(Engine::default()), stop);
        let outcome = within("serving what is stopped already", serving).await;
        ok("serving what is stopped already", outcome);
    }

    /// Opens the source and serves it.
    pub(super) async fn serve(&self) -> Served {
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
    pub(super) async fn is_answered(&self, endpoint: Endpoint, request: &[u8]) {
        let mut client = self.connect(endpoint).await;
        exchange(&mut *client, endpoint, request).await;
    }

    /// Nothing is answered any more: no connection, or none that is served.
    pub(super) async fn is_not_answered(&self, endpoint: Endpoint) {
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
pub(super) async fn exchange(client: &mut dyn SourceClient, endpoint: Endpoint, request: &[u8]) {
    ok(
        "sending a request",
        within("sending", client.send(request)).await,
    );
    receives(client, endpoint, request).await;
}

pub(super) async fn receives(client: &mut dyn SourceClient, endpoint: Endpoint, request: &[u8]) {
    let received = within("an answer", client.receive()).await;
    let received = ok("receiving an answer", received);
    let expected = answer(endpoint, request);
    assert!(
        received.as_deref() == Some(&*expected),
        "of {} bytes the answer should be {} bytes, and is {:?}",
        request.len(),
        expected.len(),
        received.map(|received| received.len())
    );
}

/// A source that is being served.
pub(super) struct Served {
    pub(super) engine: Arc<Engine>,
    pub(super) stop: CancellationToken,
    pub(super) serving: JoinHandle<Result<(), SourceError>>,
}

impl Served {
    /// Stops the source and waits for its end.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Drops the source instead of stopping it.
    pub(super) async fn dropped(self) {
        self.serving.abort();
        // Ended by the abort, not by an error of its own.
        let ended = within("the end of a dropped source", self.serving).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    pub(super) async fn ended(self) {
        let ended = within("the end of a stopped source", self.serving).await;
        let outcome = ok("serving", ended);
        ok("a source that was told to stop", outcome);
    }
}
