//! A client of the local stream sockets (PROTOCOL.md, section 1), for tests:
//! whole frames, several on one connection, or any bytes at all.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use wpk_wire::FrameDecoder;

/// How long a [`Client`] waits for one answer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The longest answer a [`Client`] takes, in bytes.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Asks one question on a connection of its own. `None`: closed without an
/// answer, not reachable, or no answer within [`DEADLINE`].
pub async fn ask(path: impl AsRef<Path>, payload: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let mut client = Client::connect(path).await.ok()?;
    client.ask(payload).await.ok().flatten()
}

/// Asks one question in JSON. `None` as with [`ask`], or if the answer is no JSON.
pub async fn ask_json(
    path: impl AsRef<Path>,
    request: &serde_json::Value,
) -> Option<serde_json::Value> {
    let answer = ask(path, request.to_string()).await?;
    serde_json::from_slice(&answer).ok()
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Client {
    /// Connects to the socket at `path`, waiting while its queue is full.
    ///
    /// # Errors
    /// Those of `connect`.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let stream = timeout(DEADLINE, connect(path.as_ref())).await??;
        Ok(Self {
            stream,
            decoder: FrameDecoder::new(MAX_ANSWER),
        })
    }

    /// Sends one frame and waits for one answer; see [`Self::receive`].
    ///
    /// # Errors
    /// Those of [`Self::receive`].
    pub async fn ask(&mut self, payload: impl AsRef<[u8]>) -> io::Result<Option<Vec<u8>>> {
        match self.send(payload).await {
            // The server may have answered and closed before it read everything.
            Err(error) if !is_closed(&error) => Err(error),
            _ => self.receive().await,
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self, payload: impl AsRef<[u8]>) -> io::Result<()> {
        let payload = payload.as_ref();
        let length = u32::try_from(payload.len())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "payload over 4 GiB"))?
            .to_le_bytes();
        let mut both = Buf::chain(length.as_slice(), payload);
        self.stream.write_all_buf(&mut both).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Says that nothing more will be sent; answers can still be received.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The payload of the next answer. `None`: the server closed (or reset)
    /// the connection.
    ///
    /// # Errors
    /// `TimedOut` after [`DEADLINE`], `UnexpectedEof` if the connection ends in
    /// the middle of a frame, and those of the socket.
    pub async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        timeout(DEADLINE, self.next()).await?
    }

    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(payload) = self.decoder.next_frame().map_err(io::Error::other)? {
                return Ok(Some(payload.to_vec()));
            }
            let buffer = self.decoder.buffer_mut();
            buffer.reserve(8 * 1024);
            match self.stream.read_buf(buffer).await {
                Ok(0) if !self.decoder.is_empty() => {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Ok(0) => return Ok(None),
                Err(error) if is_closed(&error) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Connects; a full queue is no error, but no event tells when there is room.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

/// Asks `probe` again and again (every 10 ms) until it has something; `None`
/// after `deadline`.
///
/// For what shows only from outside, such as the result of a task of another
/// process. Where there is an event to wait for, wait for that.
pub async fn wait_until<T, F, Fut>(deadline: Duration, mut probe: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = probe().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
    }
}
