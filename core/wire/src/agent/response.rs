//! Answers of the agent's upgrade socket (section 7):
//! `{"error":0,"message":"ok","data":[]}`.

use crate::codes::AgentCode;
use crate::json;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentResponse {
    /// The code.
    pub code: AgentCode,
    /// Its text, the digest, or the exit status.
    pub message: String,
}

impl AgentResponse {
    /// `ok`.
    pub fn ok() -> Self {
        Self::message("ok")
    }

    /// Code 0 with a message of its own: a digest, an exit status.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            code: AgentCode::Ok,
            message: message.into(),
        }
    }

    /// A failure with the text of its code.
    pub fn failure(code: AgentCode) -> Self {
        Self {
            code,
            message: code.text().trim_end_matches([':', ' ']).to_owned(),
        }
    }

    /// Code 6 with its reason.
    pub fn open_error(reason: &str) -> Self {
        Self {
            code: AgentCode::FileOpen,
            message: format!("{}{reason}", AgentCode::FileOpen.text()),
        }
    }

    /// The bytes of the payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!(
            "{{\"error\":{},\"message\":{},\"data\":[]}}",
            self.code.code(),
            json::quote(&self.message)
        )
        .into_bytes()
    }
}
