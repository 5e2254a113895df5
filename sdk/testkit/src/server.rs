//! What both fake daemons share: a listening Unix socket, a task per
//! connection, frames in and out, and an end when the fake is dropped.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use wpk_wire::{FrameDecoder, PEER_MAX_PAYLOAD};

/// Ends the accept loop and every connection when it is dropped, and removes
/// the socket.
#[derive(Debug)]
pub(crate) struct Server {
    _stop: DropGuard,
    path: PathBuf,
}

impl Server {
    /// Listens at `path` and runs `serve` for each connection.
    pub(crate) fn start<F, Fut>(path: &Path, serve: F) -> io::Result<Self>
    where
        F: Fn(Connection) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = UnixListener::bind(path)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let work = serve(Connection::new(stream));
                        let stopped = stopped.clone();
                        tokio::spawn(async move {
                            tokio::select! {
                                () = stopped.cancelled() => {}
                                _ended = work => {}
                            }
                        });
                    }
                    // Out of descriptors: let connections end before the next try.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Self {
            _stop: stop.drop_guard(),
            path: path.to_owned(),
        })
    }

    /// As [`Self::start`]; every connection is given `state`.
    pub(crate) fn sharing<S, F, Fut>(path: &Path, state: &Arc<S>, serve: F) -> io::Result<Self>
    where
        S: Send + Sync + 'static,
        F: Fn(Connection, Arc<S>) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let state = Arc::clone(state);
        Self::start(path, move |connection| {
            serve(connection, Arc::clone(&state))
        })
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One client of a fake daemon.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(PEER_MAX_PAYLOAD),
        }
    }

    /// The next request; `None` at the end. A frame longer than a 4.x peer
    /// takes is an error.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(payload) = self.decoder.next_frame().map_err(io::Error::other)? {
                return Ok(Some(payload));
            }
            let buffer = self.decoder.buffer_mut();
            buffer.reserve(PEER_MAX_PAYLOAD + 4);
            if self.stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends one answer.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.stream
            .write_all(&wpk_wire::frame::frame(payload))
            .await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}
