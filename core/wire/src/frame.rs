//! Frames of every local stream socket (section 1): a `u32` little-endian
//! length, then that many bytes.
//!
//! A listener feeds what arrives into a [`FrameDecoder`] and takes whole
//! payloads out of it. The decoder never reserves memory because of a length
//! it was merely told: it holds what arrived and no more than the growth of a
//! buffer on top.

use bytes::{Bytes, BytesMut};

/// Bytes of the length in front of a payload.
pub const HEADER_LEN: usize = 4;

pub use wpk_api::PEER_MAX_PAYLOAD;

/// The default limit, in bytes, for requests of clients.
pub const DEFAULT_MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// Why the stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The peer announced more than the limit; the connection must be closed,
    /// since the bytes to come cannot be told from a next frame.
    #[error(
        "the frame is announced with {declared} bytes, over the limit of {limit}: close the connection"
    )]
    TooLong {
        /// Bytes announced.
        declared: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Puts payloads together from whatever pieces a stream delivers.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    limit: usize,
}

impl FrameDecoder {
    /// A decoder that accepts payloads of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// Takes the bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer itself, for readers that append to it without a copy in between.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole payload; `None` until more bytes arrive. An empty frame
    /// is an empty payload: what it means is the caller's to decide.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] as soon as the length is known, and again at
    /// every later call.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let declared = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if declared > self.limit {
            return Err(FrameError::TooLong {
                declared,
                limit: self.limit,
            });
        }
        if self.buffer.len() - HEADER_LEN < declared {
            return Ok(None);
        }
        let _header = self.buffer.split_to(HEADER_LEN);
        Ok(Some(self.buffer.split_to(declared).freeze()))
    }

    /// Whether nothing is pending: an end of the stream here cuts no frame.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The length in front of a payload of `len` bytes.
///
/// A length over `u32::MAX` cannot be framed; it is announced as `u32::MAX`,
/// which every peer refuses. Callers keep to the limits above.
pub fn header(len: usize) -> [u8; HEADER_LEN] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// The payload with its length in front.
pub fn frame(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    out.extend_from_slice(&header(payload.len()));
    out.extend_from_slice(payload);
    out.freeze()
}
