//! Answers of agents, and what they mean for the step (section 5).
//!
//! Recorded from a real manager: the `com` form is good when the answer starts
//! with `ok`; the JSON form is good when `error` is the number 0, whatever else
//! is there; `upgrade` needs a message that starts with `0` besides.

use serde_json::Value;
use wpk_api::{Sha1, words};

use super::command::{CommandForm, Step};
use crate::json;
use crate::remoted;

/// The longest text of an answer that is repeated in an error, in characters.
const MAX_QUOTED: usize = 200;

/// A good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReply {
    /// `ok`, the digest, or the installer's exit status; empty where none was sent.
    pub message: String,
}

/// Why an answer fails its step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Closed without an answer, or an empty one.
    #[error("{} was not answered", step.as_str())]
    Empty {
        /// The step.
        step: Step,
    },
    /// `err TEXT`, of the remote daemon or of an agent below v4.1.0.
    #[error("{} was answered `{text}`", step.as_str())]
    Err {
        /// The step.
        step: Step,
        /// The whole answer.
        text: String,
    },
    /// The agent answered with an error of section 7.
    #[error("{} failed in the agent: {message} (error {code})", step.as_str())]
    Agent {
        /// The step.
        step: Step,
        /// The agent's code.
        code: i64,
        /// Its text.
        message: String,
    },
    /// Nothing that section 5 knows.
    #[error("{} was answered `{text}`, which is not understood", step.as_str())]
    Garbage {
        /// The step.
        step: Step,
        /// What came, shortened.
        text: String,
    },
    /// The installer's exit status is not 0.
    #[error("the installer ended with `{status}` instead of 0")]
    ExitStatus {
        /// What the agent reported, shortened.
        status: String,
    },
    /// What arrived is not what was sent.
    #[error("the agent has SHA-1 {found} where {expected} was sent")]
    Sha1 {
        /// Digest of what was sent.
        expected: Sha1,
        /// Digest reported by the agent, shortened.
        found: String,
    },
}

impl AgentReply {
    /// Judges the answer to a step. The digest of `sha1` is the message; compare
    /// it with [`AgentReply::check_sha1`].
    ///
    /// # Errors
    /// [`ReplyError`] where the step failed.
    pub fn parse(form: CommandForm, answer: &[u8], step: Step) -> Result<Self, ReplyError> {
        if answer.is_empty() {
            return Err(ReplyError::Empty { step });
        }
        let form = match step {
            Step::LockRestart => CommandForm::Com,
            Step::ClearUpgradeResult => CommandForm::Json,
            _ => form,
        };
        let reply = match form {
            CommandForm::Com => parse_com(answer, step)?,
            CommandForm::Json => parse_json(answer, step)?,
        };
        if step == Step::Upgrade && !reply.message.starts_with('0') {
            return Err(ReplyError::ExitStatus {
                status: shorten(reply.message.as_bytes()),
            });
        }
        Ok(reply)
    }

    /// Compares the digest in the answer to `sha1`.
    ///
    /// # Errors
    /// [`ReplyError::Sha1`] where it differs.
    pub fn check_sha1(&self, expected: Sha1) -> Result<(), ReplyError> {
        if self.message.trim().parse() == Ok(expected) {
            return Ok(());
        }
        Err(ReplyError::Sha1 {
            expected,
            found: shorten(self.message.as_bytes()),
        })
    }
}

fn parse_com(answer: &[u8], step: Step) -> Result<AgentReply, ReplyError> {
    if !answer.starts_with(b"ok") {
        return Err(refused(answer, step));
    }
    let text = String::from_utf8_lossy(answer);
    let message = text.split_once(' ').map_or("", |(_, message)| message);
    Ok(AgentReply {
        message: message.to_owned(),
    })
}

/// The message of a good answer as agents print it, which is nearly every one.
fn usual(answer: &[u8]) -> Option<&str> {
    let message = answer
        .strip_prefix(br#"{"error":0,"message":""#)?
        .strip_suffix(br#"","data":[]}"#)?;
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte);
    let message = message.iter().all(plain).then_some(message)?;
    std::str::from_utf8(message).ok()
}

fn parse_json(answer: &[u8], step: Step) -> Result<AgentReply, ReplyError> {
    if let Some(message) = usual(answer) {
        let message = message.to_owned();
        return Ok(AgentReply { message });
    }
    let Ok(Value::Object(members)) = json::parse(answer) else {
        return Err(refused(answer, step));
    };
    let Some(Value::Number(error)) = members.get("error") else {
        return Err(refused(answer, step));
    };
    let message = match members.get("message") {
        Some(Value::String(message)) => message.clone(),
        _ => String::new(),
    };
    // A fraction is no 0 either.
    match json::integer(&Value::Number(error.clone())) {
        Some(0) => Ok(AgentReply { message }),
        code => Err(ReplyError::Agent {
            step,
            code: code.unwrap_or(-1),
            message: shorten(message.as_bytes()),
        }),
    }
}

fn refused(answer: &[u8], step: Step) -> ReplyError {
    let text = shorten(answer);
    if remoted::is_remoted_error(answer) {
        ReplyError::Err { step, text }
    } else {
        ReplyError::Garbage { step, text }
    }
}

/// An answer as one line that fits a log.
fn shorten(answer: &[u8]) -> String {
    let start = answer.get(..MAX_QUOTED * 4).unwrap_or(answer);
    String::from_utf8_lossy(start)
        .chars()
        .take(MAX_QUOTED)
        .map(|c| if words::steers(c) { ' ' } else { c })
        .collect()
}
