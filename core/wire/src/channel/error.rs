//! Why a message of the channel was not understood, or cannot be sent.

/// The version of the channel's protocol that this software speaks.
pub const PROTOCOL: u32 = 1;

/// Why a message was not understood, or cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Fewer bytes than kind and stream id.
    #[error("the channel message has {0} bytes, fewer than the 5 of kind and stream id")]
    Short(usize),
    /// No such kind.
    #[error("the channel message is of kind {0}, which protocol {PROTOCOL} does not have")]
    Kind(u8),
    /// A stream id where none belongs, or 0 where one does.
    #[error("the channel message of kind {kind} has the stream id {stream}, which is not allowed")]
    Stream {
        /// The kind.
        kind: u8,
        /// The id.
        stream: u32,
    },
    /// The body does not belong to the kind.
    #[error("the body of a `{kind}` channel message is not understood: {reason}")]
    Body {
        /// Name of the kind.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Over a limit.
    #[error("a `{kind}` channel message of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// Name of the kind.
        kind: &'static str,
        /// Bytes it has.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Another protocol version.
    #[error(
        "the other side speaks channel protocol {0}, this one {PROTOCOL}: update the older one"
    )]
    Protocol(u32),
}
