//! One connection: frames in, answers out, in order.
//!
//! A connection ends when the client has sent its last frame and has its
//! answers, when it breaks the framing (an announced length over the limit, a
//! frame of length zero: both closed without an answer, as 4.x does), or when
//! its time is up. Nothing here waits for any other connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use wpk_api::{CancellationToken, Endpoint, Peer, Request, RequestService};
use wpk_wire::FrameDecoder;
use wpk_wire::frame::{HEADER_LEN, header};

/// First room for what a client sends: most requests fit into it.
const FIRST_READ: usize = 4 * 1024;
/// Room added at once while a long frame arrives.
const LARGEST_STEP: usize = 1024 * 1024;
/// While connections are scarce, a client that keeps one waiting this long
/// without completing a frame loses it.
pub(crate) const PATIENCE_WHEN_CROWDED: Duration = Duration::from_secs(1);

/// What all connections of one socket share.
pub(crate) struct ServedSocket {
    pub(crate) endpoint: Endpoint,
    pub(crate) service: Arc<dyn RequestService>,
    /// Ends connections that are between requests.
    pub(crate) stop: CancellationToken,
    /// Told again and again while new clients wait for a free connection.
    pub(crate) crowded: Notify,
    pub(crate) max_frame: usize,
    pub(crate) idle_timeout: Duration,
}

/// Why a connection ended; only for the log.
enum End {
    /// The client closed between two frames, or the daemon stops.
    Orderly,
    /// The client did something wrong or gave up.
    Dropped(&'static str),
}

/// Serves one client until it is done.
pub(crate) async fn serve(mut stream: UnixStream, peer: Peer, socket: &ServedSocket) {
    let end = match exchange(&mut stream, peer, socket).await {
        Ok(end) => end,
        Err(error) => {
            tracing::debug!(endpoint = ?socket.endpoint, ?peer, %error, "connection lost");
            return;
        }
    };
    if let End::Dropped(reason) = end {
        tracing::debug!(endpoint = ?socket.endpoint, ?peer, reason, "dropping a client");
    }
}

async fn exchange(
    stream: &mut UnixStream,
    peer: Peer,
    socket: &ServedSocket,
) -> std::io::Result<End> {
    let mut decoder = FrameDecoder::new(socket.max_frame);
    loop {
        let payload = match decoder.next_frame() {
            Err(_) => return Ok(End::Dropped("announced a frame over max_frame")),
            Ok(Some(payload)) if payload.is_empty() => {
                return Ok(End::Dropped("sent a frame of length zero"));
            }
            Ok(Some(payload)) => payload,
            Ok(None) => match read_frame(stream, &mut decoder, socket).await? {
                None => continue,
                Some(end) => return Ok(end),
            },
        };
        let request = Request {
            endpoint: socket.endpoint,
            peer,
            payload,
        };
        let Some(answer) = socket.service.call(request).await else {
            return Ok(End::Orderly);
        };
        if u32::try_from(answer.len()).is_err() {
            tracing::error!(bytes = answer.len(), "the answer is too long for a frame");
            return Ok(End::Orderly);
        }
        match tokio::time::timeout(socket.idle_timeout, write_frame(stream, answer)).await {
            Ok(written) => written?,
            Err(_) => return Ok(End::Dropped("did not read its answer in time")),
        }
        if socket.stop.is_cancelled() {
            return Ok(End::Orderly);
        }
    }
}

/// Reads until the decoder may hold a whole frame more (`None`) or the
/// connection has to end.
///
/// The time limit starts again with the first byte of a frame and then holds
/// for the frame as a whole, so that sending byte by byte does not help.
async fn read_frame(
    stream: &mut UnixStream,
    decoder: &mut FrameDecoder,
    socket: &ServedSocket,
) -> std::io::Result<Option<End>> {
    let since = Instant::now();
    let sleep = tokio::time::sleep_until(since + socket.idle_timeout);
    tokio::pin!(sleep);
    let mut waiting_since = since;
    loop {
        let fresh = decoder.is_empty();
        let buffer = decoder.buffer_mut();
        if buffer.capacity() - buffer.len() < FIRST_READ / 2 {
            buffer.reserve(buffer.len().clamp(FIRST_READ, LARGEST_STEP));
        }
        let read = tokio::select! {
            biased;
            read = stream.read_buf(buffer) => read?,
            () = socket.stop.cancelled() => return Ok(Some(End::Orderly)),
            () = socket.crowded.notified() => {
                if waiting_since.elapsed() >= PATIENCE_WHEN_CROWDED {
                    return Ok(Some(End::Dropped("kept a connection waiting that others need")));
                }
                continue;
            }
            () = &mut sleep => {
                return Ok(Some(End::Dropped("sent nothing, or no whole frame, in time")));
            }
        };
        if read == 0 {
            return Ok(Some(if decoder.is_empty() {
                End::Orderly
            } else {
                End::Dropped("closed in the middle of a frame")
            }));
        }
        if may_hold_frame(decoder, socket.max_frame) {
            return Ok(None);
        }
        if fresh {
            waiting_since = Instant::now();
            sleep.as_mut().reset(waiting_since + socket.idle_timeout);
        }
    }
}

/// Whether the decoder has something to say: a whole frame, or a refusal.
fn may_hold_frame(decoder: &mut FrameDecoder, max_frame: usize) -> bool {
    let buffer = decoder.buffer_mut();
    let Some(length) = buffer.first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let declared = u32::from_le_bytes(*length) as usize;
    declared > max_frame || buffer.len() - HEADER_LEN >= declared
}

/// Writes one answer: length and payload in one call, without copying either.
async fn write_frame(stream: &mut UnixStream, answer: Bytes) -> std::io::Result<()> {
    let length = header(answer.len());
    let mut both = Buf::chain(length.as_slice(), answer);
    stream.write_all_buf(&mut both).await
}
