//! A client of a socket: its requests as they come out of their frames, and their answers.

use std::io::{ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use wpk_api::{CancellationToken, Endpoint, Peer, Request, RequestService};
use wpk_socket_file::LocalStream;
use wpk_wire::FrameDecoder;
use wpk_wire::frame::header;

use crate::memory::{Memory, Room, SMALL};

/// First room for what a client sends: most requests fit into it.
pub(crate) const FIRST_READ: usize = 4 * 1024;
/// While connections or memory are scarce, a client that keeps others waiting this
/// long without completing a frame, or without reading its answer, loses its
/// connection.
pub(crate) const PATIENCE_WHEN_CROWDED: Duration = Duration::from_secs(1);

/// What all connections of one socket share.
pub(crate) struct ServedSocket {
    pub(crate) endpoint: Endpoint,
    pub(crate) service: Arc<dyn RequestService>,
    /// Ends connections that are between requests.
    pub(crate) stop: CancellationToken,
    /// Told again and again while new clients wait for a free connection.
    pub(crate) crowded: Notify,
    /// Shared with the other socket, as is what follows.
    pub(crate) memory: Arc<Memory>,
    /// For clients that ask one question right after the other.
    pub(crate) threads: Arc<Semaphore>,
    /// No answer is waited for any longer.
    pub(crate) over: CancellationToken,
    pub(crate) max_frame: usize,
    pub(crate) idle_timeout: Duration,
}

/// Why a connection ended; only for the log.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed between two frames, or the daemon stops.
    Orderly,
    /// The client did something wrong or gave up.
    Dropped(&'static str),
}

/// A client, and what it sent of its next request.
pub(crate) struct Client {
    pub(crate) stream: LocalStream,
    pub(crate) decoder: FrameDecoder,
    pub(crate) peer: Peer,
}

impl Client {
    /// The next request, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, End> {
        match self.decoder.next_frame() {
            Err(_) => Err(End::Dropped("announced a frame over max_frame")),
            Ok(Some(payload)) if payload.is_empty() => {
                Err(End::Dropped("sent a frame of length zero"))
            }
            Ok(payload) => Ok(payload),
        }
    }

    /// Answers a request, which had its `room`; or the connection has to end.
    pub(crate) async fn answer(
        &mut self,
        payload: Bytes,
        room: &mut Option<Room>,
        socket: &ServedSocket,
    ) -> std::io::Result<Option<End>> {
        let request = Request {
            endpoint: socket.endpoint,
            peer: self.peer,
            payload,
        };
        let Some(answer) = socket.service.call(request).await else {
            return Ok(Some(End::Orderly));
        };
        *room = None;
        if u32::try_from(answer.len()).is_err() {
            tracing::error!(bytes = answer.len(), "the answer is too long for a frame");
            return Ok(Some(End::Orderly));
        }
        let ended = give(&mut self.stream, answer, socket).await?;
        let stops = socket.stop.is_cancelled();
        Ok(ended.or(stops.then_some(End::Orderly)))
    }
}

pub(crate) fn later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Writes an answer, length and payload in one call and neither copied; or the connection
/// has to end.
async fn give(
    stream: &mut LocalStream,
    answer: Bytes,
    socket: &ServedSocket,
) -> std::io::Result<Option<End>> {
    let (length, is_long) = (header(answer.len()), answer.len() > SMALL);
    let mut both = [length.as_slice(), &answer].map(IoSlice::new);
    let mut left = both.as_mut_slice();
    // A client that reads has room for it, as a rule: nothing need be waited for then.
    if !is_long {
        stream.write_now(&mut left)?;
    }
    if left.is_empty() {
        return Ok(None);
    }
    let since = Instant::now();
    let written = async {
        let Some(_room) = socket.memory.for_answer(answer.len()).await else {
            return Ok(Some(End::Dropped(
                "has a long answer, and max_memory is used up",
            )));
        };
        // Only now does it keep others waiting.
        let since = Instant::now();
        let crowded = pin!(socket.crowded.notified());
        tokio::select! {
            biased;
            written = stream.write_all(left) => written.map(|()| None),
            () = outstayed(socket, crowded, since, is_long) => {
                Ok(Some(End::Dropped("did not read its answer while others waited")))
            }
        }
    };
    let in_time = tokio::time::timeout_at(since + socket.idle_timeout, written).await;
    in_time.unwrap_or(Ok(Some(End::Dropped("did not read its answer in time"))))
}

/// Returns when others wait for what this client has, its connection or (where it
/// `has_memory`) its memory, and it has kept them waiting for long enough.
pub(crate) async fn outstayed<'a>(
    socket: &'a ServedSocket,
    mut crowded: Pin<&mut Notified<'a>>,
    since: Instant,
    has_memory: bool,
) {
    loop {
        tokio::select! {
            () = crowded.as_mut() => crowded.set(socket.crowded.notified()),
            () = socket.memory.wanted(), if has_memory => {}
        }
        if since.elapsed() >= PATIENCE_WHEN_CROWDED {
            return;
        }
    }
}
