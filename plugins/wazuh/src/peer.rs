//! A framed connection to one of the manager's daemons (PROTOCOL.md, section 1).
//!
//! Frames of at most 65,536 bytes go in both directions. Time limits are the
//! callers': every function here may wait as long as the daemon lets it.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wpk_wire::frame::header;
use wpk_wire::{FrameDecoder, FrameError, PEER_MAX_PAYLOAD};

/// First room for an answer; most fit into it.
const FIRST_READ: usize = 1024;
/// First and longest pause while the daemon's queue of connections is full.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// Nobody listens at the socket.
    #[error("{path}: {error} (does the daemon run, and may wpkd's user open its socket?)")]
    Connect {
        /// The socket.
        path: String,
        /// What `connect` said.
        error: io::Error,
    },
    /// The connection ended before the answer was complete.
    #[error("{0}")]
    Closed(String),
    /// The answer is longer than a 4.x daemon may send.
    #[error("{0}")]
    TooLong(#[from] FrameError),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Peer {
    /// Connects, waiting while the daemon has too many connections to accept.
    pub(crate) async fn connect(path: &Path) -> Result<Self, PeerError> {
        let mut pause = PAUSES.0;
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => {
                    return Ok(Self {
                        stream,
                        decoder: FrameDecoder::new(PEER_MAX_PAYLOAD),
                    });
                }
                // What a Unix socket says when its queue is full; no event tells
                // when there is room again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSES.1);
                }
                Err(error) => {
                    return Err(PeerError::Connect {
                        path: path.display().to_string(),
                        error,
                    });
                }
            }
        }
    }

    /// Sends one request, given in two parts so that a long one is not copied,
    /// and waits for its answer. Together the parts must fit a frame.
    pub(crate) async fn ask(&mut self, start: &[u8], rest: Bytes) -> Result<Bytes, PeerError> {
        let length = header(start.len() + rest.len());
        let mut request = Buf::chain(Buf::chain(length.as_slice(), start), rest);
        let sent = self.stream.write_all_buf(&mut request).await;
        // Also after a failed write: the daemon may have answered before it closed.
        match (self.answer().await, sent) {
            (Err(PeerError::Closed(_)), Err(error)) => Err(PeerError::Closed(format!(
                "the daemon closed while the request was sent: {error}"
            ))),
            (answer, _) => answer,
        }
    }

    async fn answer(&mut self) -> Result<Bytes, PeerError> {
        loop {
            if let Some(answer) = self.decoder.next_frame()? {
                return Ok(answer);
            }
            let buffer = self.decoder.buffer_mut();
            buffer.reserve(buffer.len().max(FIRST_READ));
            match self.stream.read_buf(buffer).await {
                Ok(0) if self.decoder.is_empty() => {
                    return Err(PeerError::Closed(
                        "the daemon closed without an answer".to_owned(),
                    ));
                }
                Ok(0) => {
                    return Err(PeerError::Closed(
                        "the daemon closed in the middle of its answer".to_owned(),
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(PeerError::Closed(format!("the connection broke: {error}")));
                }
            }
        }
    }

    /// Whether another request may be sent: nothing unasked for has arrived.
    pub(crate) fn is_clean(&self) -> bool {
        self.decoder.is_empty()
    }
}
