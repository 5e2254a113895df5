//! One connection to the upgrade socket (PROTOCOL.md, sections 1 and 2): a
//! request goes out as a frame, its answer comes back as one, each within a
//! time limit.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wpk_wire::{
    FrameDecoder, Item, OwnRequest, Response, UpgradeCode, UpgradeCommand, UpgradeRequest, frame,
};

use crate::error::CtlError;

/// The longest answer that is read, in bytes: results of 10,000 agents are a
/// tenth of it.
const MAX_ANSWER: usize = 64 << 20;
/// Room made before each read, in bytes.
const READ_ROOM: usize = 64 << 10;

/// How long a question that only reads may take.
pub(crate) const READING: Duration = Duration::from_secs(30);
/// How long a request that creates tasks or agents may take.
pub(crate) const WRITING: Duration = Duration::from_secs(120);

/// A client of one manager. Keeps its connection between questions.
#[derive(Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    stream: Option<UnixStream>,
}

impl Client {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            stream: None,
        }
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request that only reads. A 4.x manager closes after each answer,
    /// so a kept connection that fails is replaced once.
    ///
    /// # Errors
    /// [`CtlError::Refused`] if the request is refused as a whole, another where
    /// there is no answer that can be read.
    pub(crate) async fn ask(&mut self, request: &UpgradeRequest) -> Result<Vec<Item>, CtlError> {
        if let Some(stream) = self.stream.take() {
            match self.exchange(stream, request, READING).await {
                Err(CtlError::Lost { .. }) => {}
                other => return accepted(request.command(), other?),
            }
        }
        let stream = self.connect().await?;
        let response = self.exchange(stream, request, READING).await?;
        accepted(request.command(), response)
    }

    /// Sends a request that creates something, over a connection of its own and
    /// never twice.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn send(&mut self, request: &UpgradeRequest) -> Result<Vec<Item>, CtlError> {
        let stream = self.connect().await?;
        let response = self.exchange(stream, request, WRITING).await?;
        accepted(request.command(), response)
    }

    /// Asks one of our own commands that only reads.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn own(
        &mut self,
        request: impl Into<OwnRequest>,
    ) -> Result<Vec<Item>, CtlError> {
        self.ask(&UpgradeRequest::Own(request.into())).await
    }

    async fn connect(&self) -> Result<UnixStream, CtlError> {
        let unreachable = |source| CtlError::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        timeout(READING, UnixStream::connect(&self.socket))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)
    }

    async fn exchange(
        &mut self,
        mut stream: UnixStream,
        request: &UpgradeRequest,
        within: Duration,
    ) -> Result<Response, CtlError> {
        let talk = async {
            let payload = frame::frame(&request.to_bytes());
            let lost = |source| CtlError::Lost {
                socket: self.socket.clone(),
                command: request.command(),
                source,
            };
            stream.write_all(&payload).await.map_err(lost)?;
            let mut decoder = FrameDecoder::new(MAX_ANSWER);
            loop {
                let frame = decoder.next_frame().map_err(|source| CtlError::Frame {
                    socket: self.socket.clone(),
                    source,
                })?;
                if let Some(frame) = frame {
                    return Ok(frame);
                }
                let buffer = decoder.buffer_mut();
                buffer.reserve(READ_ROOM);
                if stream.read_buf(buffer).await.map_err(lost)? == 0 {
                    return Err(lost(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        };
        let answer = timeout(within, talk).await.unwrap_or_else(|_| {
            Err(CtlError::Silent {
                socket: self.socket.clone(),
                command: request.command(),
                seconds: within.as_secs(),
            })
        })?;
        let response = Response::parse(&answer).map_err(|source| CtlError::Answer {
            socket: self.socket.clone(),
            source,
        })?;
        self.stream = Some(stream);
        Ok(response)
    }
}

/// Whether trying again may help: a manager that restarts, or whose store is busy.
pub(crate) fn passing(error: &CtlError) -> bool {
    match error {
        CtlError::Unreachable { .. } | CtlError::Lost { .. } | CtlError::Silent { .. } => true,
        CtlError::Refused { code, .. } => matches!(
            code.upgrade(),
            Some(UpgradeCode::TaskManagerCommunication | UpgradeCode::TaskManagerFailure)
        ),
        _ => false,
    }
}

/// The items of an answer to a request that was understood.
///
/// # Errors
/// [`CtlError::Refused`] with what the answer says.
fn accepted(command: UpgradeCommand, response: Response) -> Result<Vec<Item>, CtlError> {
    if response.error.is_success() {
        return Ok(response.data);
    }
    // The item has the more specific text.
    let message = match response.data.first() {
        Some(item) => &item.message,
        None => &response.message,
    };
    Err(CtlError::Refused {
        command,
        code: response.error,
        message: message.clone().into_owned(),
    })
}
