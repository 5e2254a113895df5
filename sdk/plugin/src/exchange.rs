//! One question of the host and the answer to it, on this side of the border.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wpk_abi::Operation;
use wpk_abi::codes::{operation_word, status};

use crate::failure::Failure;

/// What the host asks.
pub(crate) struct Question {
    pub(crate) instance: u64,
    /// As the host sent it; see [`Question::known`].
    pub(crate) operation: u32,
    pub(crate) token: u64,
    pub(crate) json: Result<Value, serde_json::Error>,
    pub(crate) body: Bytes,
}

impl Question {
    /// The operation.
    pub(crate) fn known(&self) -> Result<Operation, Failure> {
        Operation::from_code(self.operation).ok_or_else(|| unknown(self.operation))
    }

    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let json = std::mem::replace(&mut self.json, Ok(Value::Null));
        json.and_then(serde_json::from_value)
            .map_err(Failure::malformed)
    }
}

/// What the host gets. `json` is null where there is nothing to say.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) handle: u64,
    pub(crate) json: Value,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(value: impl serde::Serialize) -> Result<Self, Failure> {
        Self::handle(0, value)
    }

    pub(crate) fn handle(handle: u64, value: impl serde::Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(value).map_err(|error| {
            Failure::new(
                status::FAILED,
                format!("the answer cannot be written: {error}"),
            )
        })?;
        Ok(Self {
            status: status::OK,
            handle,
            json,
            body: Bytes::new(),
        })
    }

    pub(crate) fn bytes(body: Bytes) -> Self {
        Self {
            status: status::OK,
            handle: 0,
            json: Value::Null,
            body,
        }
    }

    pub(crate) fn end() -> Self {
        Self {
            status: status::END,
            ..Self::bytes(Bytes::new())
        }
    }
}

pub(crate) fn unknown(operation: u32) -> Failure {
    Failure::new(
        status::UNSUPPORTED,
        format!(
            "`{}` is not known to this plugin; it was built for another version of wpkd",
            operation_word(operation)
        ),
    )
}
