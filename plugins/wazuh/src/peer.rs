//! A framed connection to one of the manager's daemons (PROTOCOL.md, section 1).
//!
//! Frames of at most 65,536 bytes go in both directions. Time limits are the
//! callers': every function here may wait as long as the daemon lets it.

use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::{Domain, SockAddr, Socket, Type};
use wpk_socket_file::LocalStream;
use wpk_wire::frame::header;
use wpk_wire::{FrameDecoder, FrameError, PEER_MAX_PAYLOAD};

/// First room for an answer; most fit into it.
const FIRST_READ: usize = 2048;
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
    stream: LocalStream,
    decoder: FrameDecoder,
}

/// A connection of a local socket is there at once, or not at all.
fn connect_now(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

impl Peer {
    /// Connects, waiting while the daemon has too many connections to accept.
    pub(crate) async fn connect(path: &Path) -> Result<Self, PeerError> {
        let mut pause = PAUSES.0;
        loop {
            match connect_now(path) {
                Ok(stream) => return Ok(Self::over(stream)),
                // What a Unix socket says when its queue is full; no event tells
                // when there is room again.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
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

    fn over(stream: UnixStream) -> Self {
        Self {
            stream: LocalStream::new(stream),
            decoder: FrameDecoder::new(PEER_MAX_PAYLOAD),
        }
    }

    /// Sends one request, given in two parts so that a long one is not copied,
    /// and waits for its answer. Together the parts must fit a frame.
    pub(crate) async fn ask(&mut self, start: &[u8], rest: Bytes) -> Result<Bytes, PeerError> {
        let length = header(start.len() + rest.len());
        let mut parts = [&length, start, &rest].map(IoSlice::new);
        let sent = self.stream.write_all(&mut parts).await;
        // Also after a failed write: the daemon may have answered before it closed.
        match (self.answer().await, sent) {
            (Err(PeerError::Closed(_)), Err(error)) => Err(PeerError::Closed(format!(
                "the daemon closed while the request was sent: {error}"
            ))),
            (answer, _) => answer,
        }
    }

    /// Sends short requests, of which each is answered: see [`Self::answer`].
    pub(crate) async fn send(
        &mut self,
        requests: impl Iterator<Item = String>,
    ) -> Result<(), PeerError> {
        let mut frames = BytesMut::new();
        for request in requests {
            frames.extend_from_slice(&header(request.len()));
            frames.extend_from_slice(request.as_bytes());
        }
        let sent = self.stream.write_all(&mut [IoSlice::new(&frames)]).await;
        sent.map_err(|error| broke(&error))
    }

    /// Waits for the answer to what was asked.
    pub(crate) async fn answer(&mut self) -> Result<Bytes, PeerError> {
        loop {
            if let Some(answer) = self.decoder.next_frame()? {
                return Ok(answer);
            }
            let buffer = self.decoder.buffer_mut();
            let held = buffer.len();
            let room = held.max(FIRST_READ);
            let read = self.stream.read_more(buffer, room).await;
            match read {
                Ok(0) if held == 0 => {
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
                    return Err(broke(&error));
                }
            }
        }
    }

    /// Whether another request may be sent: nothing unasked for has arrived.
    pub(crate) fn is_clean(&self) -> bool {
        self.decoder.is_empty()
    }
}

fn broke(error: &io::Error) -> PeerError {
    PeerError::Closed(format!("the connection broke: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::thread;

    use socket2::SockRef;

    use super::*;

    /// A request that does not fit what the kernel takes at once, to a daemon that reads
    /// it only when it is told to; and a second one on the same connection.
    #[tokio::test]
    async fn a_request_is_sent_as_the_daemon_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon");
        let listener = UnixListener::bind(&path).unwrap();
        let (go, told) = mpsc::channel::<()>();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for length in [60_000, 3] {
                told.recv().unwrap();
                let mut frame = vec![0; 4 + length];
                stream.read_exact(&mut frame).unwrap();
                assert_eq!(frame[..4], header(length));
                // In two pieces, and longer than the first room.
                let answer = vec![frame[4]; 5_000];
                stream.write_all(&header(answer.len())).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        let stream = connect_now(&path).unwrap();
        SockRef::from(&stream).set_send_buffer_size(4_096).unwrap();
        let mut peer = Peer::over(stream);
        let ask = peer.ask(b"a", Bytes::from(vec![b'b'; 59_999]));
        let telling = async {
            // The request is stuck by then: it has been polled once.
            tokio::task::yield_now().await;
            go.send(()).unwrap();
        };
        let (answer, ()) = tokio::join!(ask, telling);
        assert_eq!(answer.unwrap(), vec![b'a'; 5_000]);
        assert!(peer.is_clean());
        go.send(()).unwrap();
        let answer = peer.ask(b"xyz", Bytes::new()).await.unwrap();
        assert_eq!(answer, vec![b'x'; 5_000]);
        daemon.join().unwrap();
    }

    #[tokio::test]
    async fn a_daemon_that_answers_before_it_closes_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon");
        let listener = UnixListener::bind(&path).unwrap();
        let mut peer = Peer::connect(&path).await.unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&wpk_wire::frame::frame(b"err")).unwrap();
        drop(stream);
        assert_eq!(peer.ask(b"x", Bytes::new()).await.unwrap(), "err");
        let end = peer.ask(b"x", Bytes::new()).await;
        assert!(matches!(end, Err(PeerError::Closed(_))), "{end:?}");
    }

    #[tokio::test]
    async fn nobody_at_the_socket_is_told_with_its_path() {
        let path = Path::new("/nowhere/daemon");
        let error = Peer::connect(path).await.unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/daemon: "), "{error}");
    }
}
