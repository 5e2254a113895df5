//! The address in front of a command on the remote daemon's socket, and that
//! daemon's own errors (section 5).

use wpk_api::AgentId;

/// What stands before a command: the agent's id with at least three digits, and a space.
pub fn address(agent: AgentId) -> String {
    format!("{agent} ")
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
