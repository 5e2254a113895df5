//! The listener on `queue/sockets/upgrade` (sections 1 and 7): frames in,
//! answers out, several on one connection. Whoever announces too much, sends
//! half a frame, or nothing, is dropped and keeps nobody else waiting.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wpk_wire::{FrameDecoder, PEER_MAX_PAYLOAD, frame};

use crate::engine::Commands;
use crate::settings::ListenSettings;

/// Connections at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 64;
/// Room made for one read.
const READ: usize = 8 * 1024;
/// Pause when no connection can be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`.
pub(crate) async fn run(
    listener: &UnixListener,
    settings: &ListenSettings,
    commands: &Commands,
    stop: &CancellationToken,
) {
    tracing::info!(socket = %settings.socket.display(), "listening");
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepting = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepting => match accepted {
                Ok((stream, _)) => {
                    let (commands, limit) = (commands.clone(), settings.timeout.0);
                    connections.spawn(async move {
                        let _place = place;
                        if let Err(error) = serve(stream, &commands, limit).await {
                            tracing::debug!("a connection ended: {error}");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!("no connection can be accepted: {error}");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn serve(mut stream: UnixStream, commands: &Commands, limit: Duration) -> io::Result<()> {
    let mut decoder = FrameDecoder::new(PEER_MAX_PAYLOAD);
    loop {
        // The limit is for a whole frame: a byte now and then does not extend it.
        let next = timeout(limit, receive(&mut stream, &mut decoder)).await??;
        // A frame of nothing is how 4.x peers are told to go away.
        let Some(payload) = next.filter(|payload| !payload.is_empty()) else {
            return Ok(());
        };
        let Some(answer) = commands.execute(payload).await else {
            return Ok(());
        };
        timeout(limit, stream.write_all(&frame::frame(&answer))).await??;
    }
}

/// The next frame; `None` at the end of the stream.
async fn receive(
    stream: &mut UnixStream,
    decoder: &mut FrameDecoder,
) -> io::Result<Option<bytes::Bytes>> {
    loop {
        if let Some(payload) = decoder.next_frame().map_err(io::Error::other)? {
            return Ok(Some(payload));
        }
        let buffer = decoder.buffer_mut();
        buffer.reserve(READ);
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
