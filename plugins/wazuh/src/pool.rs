//! Kept connections to the database daemon.
//!
//! A connection serves one request after the other, and belongs to one asker
//! meanwhile: whoever gives up in the middle (a time limit, a caller that left)
//! drops it, so that no answer is ever taken for another's. A kept connection
//! that turns out to be dead is replaced once, without anybody noticing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::peer::{Peer, PeerError};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The daemon is not there, or broke off.
    #[error("{0}")]
    Unavailable(String),
    /// The answer to this one question cannot be used.
    #[error("{0}")]
    TooLong(String),
}

/// The connections.
#[derive(Debug)]
pub(crate) struct Pool {
    socket: PathBuf,
    timeout: Duration,
    places: Semaphore,
    kept: Mutex<Vec<Peer>>,
}

/// One place in the pool, with a connection if one was free.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
    peer: Option<Peer>,
}

impl Pool {
    /// A pool of at most `connections`, of which each answers within `timeout`.
    pub(crate) fn new(socket: PathBuf, connections: usize, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            places: Semaphore::new(connections),
            kept: Mutex::new(Vec::with_capacity(connections)),
        }
    }

    /// A place, first come first served.
    pub(crate) async fn place(&self) -> Result<Place<'_>, AskError> {
        let permit = self.places.acquire().await;
        let permit = permit.map_err(|error| AskError::Unavailable(error.to_string()))?;
        Ok(Place {
            pool: self,
            _permit: permit,
            peer: self.kept().pop(),
        })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Peer>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Asks one question; safe to ask twice, since the questions only read.
    pub(crate) async fn ask(&mut self, question: &str) -> Result<Bytes, AskError> {
        let timeout = self.pool.timeout;
        match tokio::time::timeout(timeout, self.exchange(question)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ PeerError::TooLong(_))) => Err(AskError::TooLong(error.to_string())),
            Ok(Err(error)) => Err(AskError::Unavailable(error.to_string())),
            Err(_elapsed) => Err(AskError::Unavailable(format!(
                "{}: no answer within {timeout:?}",
                self.pool.socket.display()
            ))),
        }
    }

    async fn exchange(&mut self, question: &str) -> Result<Bytes, PeerError> {
        // Taken out while it is used: only a complete exchange puts it back.
        if let Some(mut kept) = self.peer.take() {
            match kept.ask(question.as_bytes(), Bytes::new()).await {
                Err(PeerError::Closed(reason)) => {
                    tracing::debug!(reason, "replacing a connection to the database");
                }
                outcome => return self.keep(kept, outcome),
            }
        }
        let mut fresh = Peer::connect(&self.pool.socket).await?;
        let outcome = fresh.ask(question.as_bytes(), Bytes::new()).await;
        self.keep(fresh, outcome)
    }

    fn keep(&mut self, peer: Peer, outcome: Result<Bytes, PeerError>) -> Result<Bytes, PeerError> {
        if outcome.is_ok() && peer.is_clean() {
            self.peer = Some(peer);
        }
        outcome
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.peer.take() {
            self.pool.kept().push(peer);
        }
    }
}
