//! The header in front of each message on the cluster socket (PROTOCOL.md,
//! section 10): a big-endian `u32` counter, a big-endian `u32` length of the
//! payload, and twelve bytes of command: its name, a space, dashes.

/// Bytes of a header.
pub(super) const HEADER_LEN: usize = 20;

/// Bytes of a command.
const COMMAND_LEN: usize = 12;

/// What wraps a task message, before and after.
const WRAP: (&[u8], &[u8]) = (b"{\"daemon_name\":\"task-manager\",\"message\":", b"}");

/// The header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload that follows.
    pub(super) length: u32,
    /// The name of the command is `err`: the payload says why.
    pub(super) failed: bool,
}

impl Header {
    /// Reads a header. The counter is not looked at: there is one question per
    /// connection.
    pub(super) fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let [_, _, _, _, a, b, c, d, command @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([a, b, c, d]),
            failed: command.starts_with(b"err "),
        }
    }
}

/// The whole frame of one task message. `None` if its length cannot be written.
pub(super) fn frame(counter: u32, message: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = WRAP;
    let length = before.len() + message.len() + after.len();
    let mut frame = Vec::with_capacity(HEADER_LEN + length);
    frame.extend_from_slice(&counter.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    frame.extend_from_slice(&command("sendsync"));
    for part in [before, message, after] {
        frame.extend_from_slice(part);
    }
    Some(frame)
}

fn command(name: &str) -> [u8; COMMAND_LEN] {
    let mut bytes = [b'-'; COMMAND_LEN];
    let named = name.bytes().chain([b' ']);
    for (byte, letter) in bytes.iter_mut().zip(named) {
        *byte = letter;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_framed_as_section_10_has_it() {
        let frame = frame(0x0102_0304, b"{}").unwrap();
        assert_eq!(&frame[..4], [1, 2, 3, 4]);
        assert_eq!(&frame[4..8], [0, 0, 0, 43]);
        assert_eq!(&frame[8..20], b"sendsync ---");
        assert_eq!(
            &frame[20..],
            br#"{"daemon_name":"task-manager","message":{}}"#
        );
    }

    #[test]
    fn err_marks_a_failure_and_nothing_else_does() {
        for (command, failed) in [
            (b"err --------", true),
            (b"sendsync ---", false),
            (b"ok ---------", false),
            (b"errors -----", false),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", false),
        ] {
            let mut bytes = [0; HEADER_LEN];
            bytes[4..8].copy_from_slice(&7u32.to_be_bytes());
            bytes[8..].copy_from_slice(command);
            assert_eq!(Header::parse(&bytes), Header { length: 7, failed });
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_header(bytes in any::<[u8; HEADER_LEN]>()) {
            Header::parse(&bytes);
        }
    }
}
