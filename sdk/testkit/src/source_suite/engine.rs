//! The engine's side, played: what it answers is written in the request.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use wpk_api::{Endpoint, Peer, Request, RequestService};

use crate::suite::{pattern, within};

/// Remembers what it was asked.
#[derive(Debug)]
pub(super) struct Engine {
    seen: Mutex<Vec<(Endpoint, Peer, Bytes)>>,
    arrived: Notify,
    /// A permit for each request that says `wait`.
    pub(super) turns: Semaphore,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            arrived: Notify::new(),
            turns: Semaphore::new(0),
        }
    }
}

impl Engine {
    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<(Endpoint, Peer, Bytes)> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many requests with these words have come.
    pub(super) async fn wait_for(&self, words: &[u8], count: usize) {
        let enough = async {
            loop {
                let arrived = self.arrived.notified();
                let mut arrived = std::pin::pin!(arrived);
                arrived.as_mut().enable();
                let seen = self.seen();
                let of_these = seen.iter().filter(|(_, _, seen)| says(seen, words));
                if of_these.count() >= count {
                    return;
                }
                arrived.await;
            }
        };
        within("requests on their way to the engine", enough).await;
    }
}

#[async_trait]
impl RequestService for Engine {
    async fn call(&self, request: Request) -> Option<Bytes> {
        let payload = request.payload.clone();
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((request.endpoint, request.peer, payload));
        self.arrived.notify_waiters();
        if says(&request.payload, b"wait") {
            self.turns.acquire().await.ok()?.forget();
        }
        if says(&request.payload, b"nothing") {
            return None;
        }
        Some(answer(request.endpoint, &request.payload))
    }
}

/// Whether the beginning of a request holds these words; a source may put
/// something around them.
fn says(request: &[u8], words: &[u8]) -> bool {
    let beginning = request.get(..512).unwrap_or(request);
    beginning.windows(words.len()).any(|found| found == words)
}

/// The answer to a request: `much` is answered with 8 MiB, `empty` with no
/// bytes at all, everything else with itself behind the endpoint's name.
pub(super) fn answer(endpoint: Endpoint, request: &[u8]) -> Bytes {
    match request {
        b"much" => pattern(8 << 20),
        b"empty" => Bytes::new(),
        _ => [format!("{endpoint:?} ").as_bytes(), request]
            .concat()
            .into(),
    }
}
