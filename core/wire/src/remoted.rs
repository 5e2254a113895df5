//! The address in front of a command on the remote daemon's socket, and that
//! daemon's own errors (section 5).

use std::io::Write;
use std::ops::Deref;

use wpk_api::AgentId;

/// The longest address, in bytes.
const LONGEST: usize = 12;

/// What stands before a command: the agent's id with at least three digits, and a space.
pub fn address(agent: AgentId) -> Address {
    let mut bytes = [0; LONGEST];
    let mut left = bytes.as_mut_slice();
    // An id has ten digits at most.
    let _ = write!(left, "{agent} ");
    let length = LONGEST - left.len();
    Address { bytes, length }
}

/// The bytes of an address, in no memory of their own: one stands before each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Deref for Address {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Takes a request apart into the agent and its command; for those who play
/// the remote daemon. `None` where no address of three digits or more is found.
pub fn split_address(request: &[u8]) -> Option<(AgentId, &[u8])> {
    let space = request.iter().take(16).position(|&byte| byte == b' ')?;
    let (digits, rest) = request.split_at_checked(space)?;
    if digits.len() < 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((AgentId::new(number).ok()?, rest.get(1..)?))
}

/// Whether an answer is the remote daemon's own error, which is plain text, or
/// that of an agent below v4.1.0, which looks the same.
pub fn is_remoted_error(answer: &[u8]) -> bool {
    answer == b"err" || answer.starts_with(b"err ")
}
