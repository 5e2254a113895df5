//! Kept connections to the database daemon.
//!
//! A connection serves one request after the other, or a row of them (`rows`), and belongs
//! to one asker meanwhile: whoever gives up in the middle (a time limit, a caller that left)
//! drops it, so that no answer is ever taken for another's. A kept connection
//! that turns out to be dead is replaced once, without anybody noticing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::peer::{Peer, PeerError};
use crate::rows::Rows;

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

impl From<PeerError> for AskError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::TooLong(_) => Self::TooLong(error.to_string()),
            PeerError::Connect { .. } | PeerError::Closed(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

/// Why a row of questions was not answered to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// There was no connection, or only one that had ended before.
    Connection,
    /// What the daemon did.
    Row(String),
}

/// The connections.
#[derive(Debug)]
pub(crate) struct Pool {
    socket: PathBuf,
    timeout: Duration,
    connections: usize,
    places: Semaphore,
    rows: Rows,
    kept: Mutex<Vec<Peer>>,
}

/// One place in the pool, with a connection if one was free.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
    peer: Option<Peer>,
    /// The connection has answered since it belongs to this asker.
    answered: bool,
}

impl Pool {
    /// A pool of at most `connections`, of which each answers within `timeout`.
    pub(crate) fn new(socket: PathBuf, connections: usize, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            connections,
            places: Semaphore::new(connections),
            rows: Rows::new(timeout),
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
            answered: false,
        })
    }

    /// How many places there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// How many questions may be asked at once.
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
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
            Ok(answer) => Ok(answer?),
            Err(_elapsed) => Err(AskError::Unavailable(format!(
                "{}: no answer within {timeout:?}",
                self.pool.socket.display()
            ))),
        }
    }

    /// Asks about several things at once, each with its `question`, and gives each answer, in
    /// their order, to `take`, which may find that it is none. After a broken row the connection is gone, and what was not
    /// answered is to be asked by [`Self::ask`].
    ///
    /// An answer is waited for less long than [`Self::ask`] waits ([`Rows::patience`]).
    ///
    /// # Errors
    /// Why the row is broken.
    pub(crate) async fn ask_in_a_row<T>(
        &mut self,
        things: &[T],
        question: impl Fn(&T) -> String,
        mut take: impl FnMut(&T, &Bytes) -> Result<(), String>,
    ) -> Result<(), Broken> {
        // Taken out while it is used: only a complete row puts it back.
        let mut peer = self.peer.take().ok_or(Broken::Connection)?;
        let patience = self.pool.rows.patience();
        let silent = |_elapsed| Broken::Row(format!("no answer within {patience:?}"));
        let mut answered = self.answered;
        let broken = |error: PeerError, answered: bool| match error {
            // The daemon may have started anew since.
            PeerError::Closed(_) if !answered => Broken::Connection,
            error => Broken::Row(error.to_string()),
        };
        let sent = tokio::time::timeout(patience, peer.send(things.iter().map(question))).await;
        sent.map_err(silent)?
            .map_err(|error| broken(error, answered))?;
        for thing in things {
            let answer = tokio::time::timeout(patience, peer.answer()).await;
            let answer = answer
                .map_err(silent)?
                .map_err(|error| broken(error, answered))?;
            answered = true;
            take(thing, &answer).map_err(Broken::Row)?;
        }
        if !peer.is_clean() {
            return Err(Broken::Row("it answers more than it is asked".to_owned()));
        }
        self.put_back(peer);
        Ok(())
    }

    /// What comes on this connection cannot be relied on.
    pub(crate) fn forget(&mut self) {
        self.peer = None;
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
        if outcome.is_ok() {
            self.put_back(peer);
        }
        outcome
    }

    /// After a complete exchange.
    fn put_back(&mut self, peer: Peer) {
        if peer.is_clean() {
            self.peer = Some(peer);
            self.answered = true;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(peer) = self.peer.take() {
            self.pool.kept().push(peer);
        }
    }
}
