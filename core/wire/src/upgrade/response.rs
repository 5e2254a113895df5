//! Responses of the upgrade and task sockets: `{"error":E,"data":[...],"message":M}`
//! with keys in this order and no white space (sections 2 and 3).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::codes::{TaskCode, UpgradeCode};
use crate::json::quote_into;

/// One entry of `data`. Members that are `None` are not printed; the printed
/// order is that of the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// Code of the socket that answers.
    pub error: u8,
    /// Its text, or a more specific one.
    pub message: Cow<'static, str>,
    /// The agent's id.
    #[serde(default)]
    pub agent: Option<i64>,
    /// The task's id.
    #[serde(default)]
    pub task_id: Option<i64>,
    /// Name of the manager node of the task.
    #[serde(default)]
    pub node: Option<String>,
    /// Module that asked for the task: `upgrade_module`.
    #[serde(default)]
    pub module: Option<String>,
    /// `upgrade` or `upgrade_custom`.
    #[serde(default)]
    pub command: Option<String>,
    /// As shown ([`crate::task::show_status`]), or as stored in answers to `upgrade_get_status`.
    #[serde(default)]
    pub status: Option<Cow<'static, str>>,
    /// Why the task failed.
    #[serde(default)]
    pub error_msg: Option<String>,
    /// `YYYY/MM/DD HH:MM:SS`.
    #[serde(default)]
    pub create_time: Option<String>,
    /// Likewise, or `0`.
    #[serde(default)]
    pub update_time: Option<String>,
    /// Members of our own commands, printed last, in the order of their names.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for Item {
    fn default() -> Self {
        Self {
            error: 0,
            message: Cow::Borrowed("Success"),
            agent: None,
            task_id: None,
            node: None,
            module: None,
            command: None,
            status: None,
            error_msg: None,
            create_time: None,
            update_time: None,
            extra: Map::new(),
        }
    }
}

impl Item {
    /// An agent with a code of the upgrade socket: refused, or plain success.
    pub fn upgrade(code: UpgradeCode, agent: i64) -> Self {
        Self {
            error: code.code(),
            message: Cow::Borrowed(code.text()),
            agent: Some(agent),
            ..Self::default()
        }
    }

    /// An agent with a code of the task socket.
    pub fn task(code: TaskCode, agent: i64) -> Self {
        Self {
            error: code.code(),
            message: Cow::Borrowed(code.text()),
            agent: Some(agent),
            ..Self::default()
        }
    }

    /// An agent with a new task.
    pub fn created(agent: i64, task_id: i64) -> Self {
        Self {
            agent: Some(agent),
            task_id: Some(task_id),
            ..Self::default()
        }
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"error\":");
        number(out, self.error.into());
        out.extend_from_slice(b",\"message\":");
        quote_into(out, &self.message);
        let numbers = [("agent", self.agent), ("task_id", self.task_id)];
        for (key, value) in numbers {
            if let Some(value) = value {
                member(out, key);
                number(out, value);
            }
        }
        let texts = [
            ("node", self.node.as_deref()),
            ("module", self.module.as_deref()),
            ("command", self.command.as_deref()),
            ("status", self.status.as_deref()),
            ("error_msg", self.error_msg.as_deref()),
            ("create_time", self.create_time.as_deref()),
            ("update_time", self.update_time.as_deref()),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                member(out, key);
                quote_into(out, value);
            }
        }
        for (key, value) in &self.extra {
            out.push(b',');
            quote_into(out, key);
            out.push(b':');
            // Writing into memory cannot fail.
            let _ = serde_json::to_writer(&mut *out, value);
        }
        out.push(b'}');
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Response {
    /// 0 once the request was understood, whatever became of single agents.
    pub error: u8,
    /// The items.
    pub data: Vec<Item>,
    /// The text of `error`.
    pub message: Cow<'static, str>,
}

/// The answer of a manager could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the manager's answer is not understood: {0}")]
pub struct ResponseError(#[from] serde_json::Error);

impl Response {
    /// An answer of the upgrade socket.
    pub fn new(code: UpgradeCode, data: Vec<Item>) -> Self {
        Self {
            error: code.code(),
            data,
            message: Cow::Borrowed(code.text()),
        }
    }

    /// An answer of the task socket.
    pub fn task(code: TaskCode, data: Vec<Item>) -> Self {
        Self {
            error: code.code(),
            data,
            message: Cow::Borrowed(code.text()),
        }
    }

    /// An answer to a request that was understood.
    pub fn success(data: Vec<Item>) -> Self {
        Self::new(UpgradeCode::Success, data)
    }

    /// Reads an answer of either socket.
    ///
    /// # Errors
    /// [`ResponseError`] where it is no JSON or lacks a member.
    pub fn parse(payload: &[u8]) -> Result<Self, ResponseError> {
        Ok(serde_json::from_slice(payload)?)
    }

    /// The bytes of the payload.
    pub fn to_bytes(&self) -> Bytes {
        // Most items are this short; the buffer grows for those that are not.
        let mut out = Vec::with_capacity(64 + self.data.len() * 72);
        out.extend_from_slice(b"{\"error\":");
        number(&mut out, self.error.into());
        out.extend_from_slice(b",\"data\":[");
        for (index, item) in self.data.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.print(&mut out);
        }
        out.extend_from_slice(b"],\"message\":");
        quote_into(&mut out, &self.message);
        out.push(b'}');
        Bytes::from(out)
    }
}

fn member(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, number: i64) {
    use std::io::Write as _;
    // Writing into memory cannot fail.
    let _ = write!(out, "{number}");
}
