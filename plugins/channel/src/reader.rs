//! Reading from a connection: what is there, and the first message of one that is
//! nobody's yet. The greeting, enrolments and sessions enter.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use wpk_wire::{ChannelMessage, FrameDecoder};

use crate::goodbye::Goodbye;
use crate::writer::READ;

/// Nothing longer is read as the first message, in bytes.
pub(crate) const LONGEST_FIRST: usize = 16 * 1024 + 5;

/// A connection after its handshake.
pub(crate) type Stream = TlsStream<TcpStream>;

/// The first message, or why it is none.
pub(crate) async fn read_first(
    stream: &mut Stream,
    decoder: &mut FrameDecoder,
) -> io::Result<Result<ChannelMessage, Goodbye>> {
    let protocol = |error: &dyn std::fmt::Display| Goodbye::protocol(error.to_string());
    loop {
        match decoder.next_frame() {
            Ok(None) => {}
            Ok(Some(payload)) => {
                return Ok(ChannelMessage::decode(&payload).map_err(|error| protocol(&error)));
            }
            Err(error) => return Ok(Err(protocol(&error))),
        }
        if read_some(stream, decoder).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads what is there into the decoder; 0 at the end of the stream.
pub(crate) async fn read_some(
    stream: &mut (impl AsyncRead + Unpin),
    decoder: &mut FrameDecoder,
) -> io::Result<usize> {
    let buffer = decoder.buffer_mut();
    buffer.reserve(READ);
    stream.read_buf(buffer).await
}
