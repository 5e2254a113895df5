//! One connection: frames in, answers out, in order.
//!
//! A connection ends when the client has sent its last frame and has its
//! answers, when it breaks the framing (an announced length over the limit, a
//! frame of length zero: both closed without an answer, as 4.x does), or when
//! its time is up. Nothing here waits for any other connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFuture;
use wpk_api::Peer;
use wpk_socket_file::LocalStream;
use wpk_wire::FrameDecoder;
use wpk_wire::frame::HEADER_LEN;

use crate::busy::{self, Habit};
use crate::client::{Client, End, FIRST_READ, ServedSocket, later, outstayed};
use crate::memory::{Room, SMALL};

/// Room added at once while a long frame arrives.
const LARGEST_STEP: usize = 1024 * 1024;
/// When the daemon stops, a client that has not had an answer yet has so long for its
/// request: it may have connected a moment ago, and 4.x clients ask once.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// Serves one client until it is done.
pub(crate) async fn serve(stream: UnixStream, peer: Peer, socket: &Arc<ServedSocket>) {
    let served = match stream.into_std() {
        Ok(stream) => {
            let client = Client {
                stream: LocalStream::serving(stream),
                decoder: FrameDecoder::new(socket.max_frame),
                peer,
            };
            exchange(client, socket).await
        }
        Err(error) => Err(error),
    };
    let end = match served {
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

async fn exchange(mut client: Client, socket: &Arc<ServedSocket>) -> std::io::Result<End> {
    // Of the request that arrives, until it has been answered.
    let mut room = None;
    let mut answered = false;
    let mut habit = Habit::default();
    let (stop, crowded) = (
        pin!(socket.stop.cancelled()),
        pin!(socket.crowded.notified()),
    );
    let idle = pin!(tokio::time::sleep(socket.idle_timeout));
    let mut watch = Watch {
        stop,
        crowded,
        idle,
    };
    // Clients ask at once, as a rule: nothing need be waited for then.
    let buffer = client.decoder.buffer_mut();
    match client.stream.read_now(buffer, FIRST_READ) {
        Ok(0) => return Ok(End::Orderly),
        Err(error) if !later(&error) => return Err(error),
        _ => {}
    }
    loop {
        let payload = match client.next() {
            Err(end) => return Ok(end),
            Ok(Some(payload)) => payload,
            Ok(None) => {
                if client.decoder.is_empty() && habit.asks_at_once() {
                    let served = busy::serve(client, socket).await;
                    habit = Habit::default();
                    client = match served? {
                        Ok(client) => client,
                        Err(end) => return Ok(end),
                    };
                }
                let since = Instant::now();
                let waited = (&mut watch, answered);
                match read_frame(&mut client, socket, &mut room, waited).await? {
                    None => habit.asked(since.elapsed(), client.decoder.buffer_mut().len()),
                    Some(end) => return Ok(end),
                }
                continue;
            }
        };
        if let Some(end) = client.answer(payload, &mut room, socket).await? {
            return Ok(end);
        }
        answered = true;
    }
}

/// What may end a connection while it waits for a frame. Watched from one request to the
/// next: to begin anew each time would cost as much as reading one.
struct Watch<'a, 'b> {
    stop: Pin<&'b mut WaitForCancellationFuture<'a>>,
    crowded: Pin<&'b mut Notified<'a>>,
    /// Never later than it has to be, and put off when it is found to be early.
    idle: Pin<&'b mut Sleep>,
}

/// Returns when the daemon stops, or (where the client is not `done`) a moment later.
async fn stopped(stop: Pin<&mut WaitForCancellationFuture<'_>>, done: bool) {
    stop.await;
    if !done {
        tokio::time::sleep(LAST_REQUEST).await;
    }
}

/// Returns at this time, which is not before that of the call before.
async fn idle_until(mut idle: Pin<&mut Sleep>, at: Instant) {
    loop {
        idle.as_mut().await;
        if Instant::now() >= at {
            return;
        }
        idle.as_mut().reset(at);
    }
}

/// Reads until the decoder may hold a whole frame more (`None`) or the
/// connection has to end. A long frame gets its `room` before the rest of it is read.
///
/// The time limit starts again with the first byte of a frame and then holds
/// for the frame as a whole, so that sending byte by byte does not help.
async fn read_frame<'a>(
    client: &mut Client,
    socket: &'a ServedSocket,
    room: &mut Option<Room>,
    (watch, answered): (&mut Watch<'a, '_>, bool),
) -> std::io::Result<Option<End>> {
    let Client {
        stream, decoder, ..
    } = client;
    let mut since = Instant::now();
    loop {
        let fresh = decoder.is_empty();
        let (long, has_room) = (long_frame(decoder), room.is_some());
        let read = tokio::select! {
            biased;
            got = socket.memory.for_request(long.unwrap_or(0)), if long.is_some() && !has_room => {
                *room = Some(got);
                // From here on it has what others may wait for.
                since = Instant::now();
                continue;
            }
            read = read_some(stream, decoder, long), if long.is_none() || has_room => read?,
            () = stopped(watch.stop.as_mut(), answered && fresh) => return Ok(Some(End::Orderly)),
            () = outstayed(socket, watch.crowded.as_mut(), since, has_room), if long.is_none() || has_room => {
                return Ok(Some(End::Dropped("kept others waiting for what it has")));
            }
            () = idle_until(watch.idle.as_mut(), since + socket.idle_timeout) => {
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
            since = Instant::now();
        }
    }
}

/// Reads what is there, of a `long` frame nothing of what comes after it.
async fn read_some(
    stream: &mut LocalStream,
    decoder: &mut FrameDecoder,
    long: Option<usize>,
) -> std::io::Result<usize> {
    let buffer = decoder.buffer_mut();
    let step = match long {
        Some(whole) => {
            let step = buffer.len().clamp(FIRST_READ, LARGEST_STEP);
            step.min(whole.saturating_sub(buffer.len()))
        }
        None => FIRST_READ,
    };
    stream.read_more(buffer, step).await
}

/// The length, header included, of the frame that begins, if it is a long one.
fn long_frame(decoder: &mut FrameDecoder) -> Option<usize> {
    let whole = HEADER_LEN.saturating_add(announced(decoder.buffer_mut())?);
    (whole > SMALL).then_some(whole)
}

/// The length of the frame that begins, once its header is there.
fn announced(buffer: &[u8]) -> Option<usize> {
    let length = buffer.first_chunk::<HEADER_LEN>()?;
    Some(u32::from_le_bytes(*length) as usize)
}

/// Whether the decoder has something to say: a whole frame, or a refusal.
fn may_hold_frame(decoder: &mut FrameDecoder, max_frame: usize) -> bool {
    let buffer = decoder.buffer_mut();
    announced(buffer)
        .is_some_and(|declared| declared > max_frame || buffer.len() - HEADER_LEN >= declared)
}
