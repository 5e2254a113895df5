//! A request that is refused as a whole, on either socket: the code of the
//! answer, and one item without `agent` that says why (sections 2 and 3).

use std::borrow::Cow;

use crate::codes::{Code, TaskCode, UpgradeCode};
use crate::upgrade::response::{Item, Response};

/// Why a whole request was refused; prints its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request refused with code {code}: {detail}")]
pub struct Refusal {
    code: Code,
    text: &'static str,
    detail: Cow<'static, str>,
}

impl Refusal {
    /// A refusal of the upgrade socket with the plain text of the code.
    pub fn upgrade(code: UpgradeCode) -> Self {
        Self {
            code: code.into(),
            text: code.text(),
            detail: Cow::Borrowed(code.text()),
        }
    }

    /// A refusal of the task socket.
    pub fn task(code: TaskCode) -> Self {
        Self {
            code: code.into(),
            text: code.text(),
            detail: Cow::Borrowed(code.text()),
        }
    }

    /// Code 3 of the upgrade socket with a text of its own for the item.
    pub fn not_recognized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::upgrade(UpgradeCode::NotRecognized)
        }
    }

    /// The code of the answer.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text in the item.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The whole answer.
    pub fn to_response(&self) -> Response {
        Response {
            error: self.code,
            message: Cow::Borrowed(self.text),
            data: vec![Item {
                error: self.code,
                message: self.detail.clone(),
                ..Item::default()
            }],
        }
    }

    /// The bytes of the whole answer.
    pub fn to_bytes(&self) -> bytes::Bytes {
        self.to_response().to_bytes()
    }
}
