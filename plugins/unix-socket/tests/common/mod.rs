//! What the tests of this plugin share: an engine that answers simple words,
//! and a source that is served in the background.
// Each test binary uses its part of it.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wpk_api::{
    BuildError, CancellationToken, Factory, Request, RequestService, RequestSource, SourceError,
};
use wpk_plugin_unix_socket::plugin;
use wpk_testkit::Home;

/// Far longer than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// An engine that answers `ENDPOINT PAYLOAD`, except to the words below.
pub struct Words {
    /// `wait` is answered when a permit is added.
    pub gate: Semaphore,
    /// Requests that have reached the engine.
    pub calls: AtomicUsize,
    /// Where the test runs, and its runtime.
    pub here: ThreadId,
    /// How many waited in another thread.
    pub waited_elsewhere: AtomicUsize,
    /// Whether it sends files to agents.
    pub sending: AtomicBool,
    /// How often it was told that others may have answered.
    pub away: AtomicUsize,
}

#[async_trait]
impl RequestService for Words {
    async fn call(&self, request: Request) -> Option<Bytes> {
        let elsewhere = std::thread::current().id() != self.here;
        if elsewhere && &*request.payload == b"wait" {
            self.waited_elsewhere.fetch_add(1, Ordering::SeqCst);
        }
        // Last: who sees it sees the other.
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &*request.payload {
            b"nothing" => return None,
            b"empty" => return Some(Bytes::new()),
            b"peer" => return Some(format!("{:?}", request.peer).into()),
            b"thread" => return Some(format!("{:?}", std::thread::current().id()).into()),
            b"much" => return Some(vec![b'x'; 8 << 20].into()),
            b"wait" => self.gate.acquire().await.unwrap().forget(),
            _ => {}
        }
        let mut answer = format!("{:?} ", request.endpoint).into_bytes();
        answer.extend_from_slice(&request.payload);
        Some(answer.into())
    }

    fn was_away(&self) {
        self.away.fetch_add(1, Ordering::SeqCst);
    }

    fn is_sending(&self) -> bool {
        self.sending.load(Ordering::SeqCst)
    }
}

/// A source that is being served.
pub struct Served {
    pub home: Home,
    pub words: Arc<Words>,
    pub stop: CancellationToken,
    pub ended: JoinHandle<Result<(), SourceError>>,
}

pub fn build(home: &Home, settings: &Value) -> Result<Arc<dyn RequestSource>, BuildError> {
    plugin().build(settings, &home.context())
}

pub fn serve(settings: &Value) -> Served {
    serve_at(Home::new().unwrap(), settings)
}

pub fn serve_at(home: Home, settings: &Value) -> Served {
    let source = build(&home, settings).unwrap();
    let words = Arc::new(Words {
        gate: Semaphore::new(0),
        calls: AtomicUsize::new(0),
        here: std::thread::current().id(),
        waited_elsewhere: AtomicUsize::new(0),
        sending: AtomicBool::new(false),
        away: AtomicUsize::new(0),
    });
    let stop = CancellationToken::new();
    let ended = {
        let (words, stop) = (Arc::clone(&words), stop.clone());
        tokio::spawn(async move { source.serve(words, stop).await })
    };
    Served {
        home,
        words,
        stop,
        ended,
    }
}

pub fn serve_defaults() -> Served {
    serve(&json!({}))
}
