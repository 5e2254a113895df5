//! The listener on `queue/sockets/upgrade` (sections 1 and 7): frames in,
//! answers out, several on one connection. Whoever announces too much, sends
//! half a frame, or nothing, is dropped and keeps nobody else waiting. The socket is
//! kept at its path meanwhile (section 14).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wpk_socket_file::{Kept, SocketError, SocketFile};
use wpk_wire::{FrameDecoder, PEER_MAX_PAYLOAD, frame};

use crate::engine::Commands;

/// Connections at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 64;
/// Room made for one read.
const READ: usize = 8 * 1024;
/// Pause when no connection can be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// How long commands that are carried out are waited for at the end. An installer that
/// stops the agent waits for that itself.
const GRACE: Duration = Duration::from_millis(500);

/// The listener.
pub(crate) struct Listener {
    commands: Commands,
    /// For a whole frame.
    limit: Duration,
    places: Arc<Semaphore>,
    connections: JoinSet<()>,
}

impl Listener {
    /// One that hands commands to an engine; a connection may be idle, and a frame under
    /// way, for as long as `limit`.
    pub(crate) fn new(commands: Commands, limit: Duration) -> Self {
        Self {
            commands,
            limit,
            places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            connections: JoinSet::new(),
        }
    }

    /// Serves until `stop`; then the socket is given back, and those are answered who had
    /// connected by then.
    ///
    /// # Errors
    /// [`SocketError`] if the socket was removed and cannot be made again.
    pub(crate) async fn run(
        mut self,
        mut file: SocketFile,
        stop: &CancellationToken,
    ) -> Result<(), SocketError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.accept(&file) => {}
                kept = file.kept() => match kept? {
                    Kept::Back => {}
                    Kept::Anew(anew) => {
                        let old = std::mem::replace(&mut file, anew);
                        self.accept_those_who_wait(&old);
                    }
                },
            }
        }
        file.give_back();
        self.accept_those_who_wait(&file);
        let all = async { while self.connections.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            tracing::debug!("stopping without the last answers");
        }
        Ok(())
    }

    /// Accepts; never ends by itself.
    async fn accept(&mut self, file: &SocketFile) {
        loop {
            let places = Arc::clone(&self.places);
            let accepting = async {
                let place = places.acquire_owned().await.ok();
                (place, file.listener().accept().await)
            };
            tokio::select! {
                Some(_) = self.connections.join_next() => {}
                (place, accepted) = accepting => match accepted {
                    Ok((stream, _)) => self.serve(stream, place),
                    Err(error) => {
                        tracing::warn!("no connection can be accepted: {error}");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Accepts those in the queue of the kernel, at a socket to which nobody else comes.
    fn accept_those_who_wait(&mut self, file: &SocketFile) {
        for stream in file.waiting() {
            self.serve(stream, None);
        }
    }

    fn serve(&mut self, stream: UnixStream, place: Option<OwnedSemaphorePermit>) {
        let (commands, limit) = (self.commands.clone(), self.limit);
        self.connections.spawn(async move {
            let _place = place;
            if let Err(error) = serve(stream, &commands, limit).await {
                tracing::debug!("a connection ended: {error}");
            }
        });
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
