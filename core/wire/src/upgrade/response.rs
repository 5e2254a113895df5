//! Responses of the upgrade and task sockets: `{"error":E,"data":[...],"message":M}`
//! with keys in this order and no white space (sections 2 and 3).

use std::borrow::{Borrow, Cow};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wpk_api::{AgentId, Command, TaskId};

use crate::asked::AskedId;
use crate::codes::{Code, TaskCode, UpgradeCode};
use crate::json::quote_into;

const AGENT: &str = "agent";
const TASK_ID: &str = "task_id";

/// Members of an item beside those of sections 2 and 3, in the order of their
/// names, which only the types of [`crate::own`] know.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Members(Map<String, Value>);

/// One entry of `data`. Members that are `None` are not printed; the printed
/// order is that of the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// Code of the socket that answers.
    pub error: Code,
    /// Its text, or a more specific one.
    pub message: Cow<'static, str>,
    /// The agent's id, as it was asked for.
    #[serde(default)]
    pub agent: Option<AskedId>,
    /// The task's id.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// Name of the manager node of the task.
    #[serde(default)]
    pub node: Option<String>,
    /// Module that asked for the task: `upgrade_module`.
    #[serde(default)]
    pub module: Option<String>,
    /// What the task carries out.
    #[serde(default)]
    pub command: Option<Command>,
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
    /// Members of our own commands ([`crate::own`]), printed last, in the order
    /// of their names.
    #[serde(flatten)]
    pub own: Members,
}

impl Default for Item {
    fn default() -> Self {
        Self {
            error: UpgradeCode::Success.into(),
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
            own: Members::default(),
        }
    }
}

impl Item {
    /// An agent with a code of the upgrade socket: refused, or plain success.
    pub fn upgrade(code: UpgradeCode, agent: impl Into<AskedId>) -> Self {
        Self {
            error: code.into(),
            message: Cow::Borrowed(code.text()),
            agent: Some(agent.into()),
            ..Self::default()
        }
    }

    /// An agent with a code of the task socket.
    pub fn task(code: TaskCode, agent: impl Into<AskedId>) -> Self {
        Self {
            agent: Some(agent.into()),
            ..Self::of_request(code)
        }
    }

    /// What the task socket says of a request as a whole.
    pub fn of_request(code: TaskCode) -> Self {
        Self {
            error: code.into(),
            message: Cow::Borrowed(code.text()),
            ..Self::default()
        }
    }

    /// An agent with a new task.
    pub fn created(agent: impl Into<AskedId>, task: TaskId) -> Self {
        Self {
            agent: Some(agent.into()),
            task_id: Some(task),
            ..Self::default()
        }
    }

    /// The agent it is about; `None` where it names none, or nobody's id.
    pub fn agent_id(&self) -> Option<AgentId> {
        self.agent?.agent().ok()
    }

    /// The same with a member `reason` of ours: what the code's own text does not say.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        self.with(&serde_json::json!({ "reason": reason }))
    }

    /// This item with the members of an answer to one of our own commands; its
    /// own `agent` and `task_id` stay.
    pub(crate) fn with(mut self, own: &impl Serialize) -> Self {
        self.own = Members::default();
        self.with_also(own)
    }

    /// The same, with those that it has already.
    pub(crate) fn with_also(mut self, own: &impl Serialize) -> Self {
        if let Ok(Value::Object(mut members)) = serde_json::to_value(own) {
            members.remove(AGENT);
            members.remove(TASK_ID);
            self.own.0.append(&mut members);
        }
        self
    }

    /// The answer to one of our own commands that this item is, with its `agent`
    /// and `task_id` where it has them.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let mut members = self.own.0.clone();
        if let Some(agent) = self.agent {
            members.insert(AGENT.to_owned(), agent.number().into());
        }
        if let Some(task) = self.task_id {
            members.insert(TASK_ID.to_owned(), task.0.into());
        }
        serde_json::from_value(Value::Object(members))
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"error\":");
        number(out, self.error.number().into());
        out.extend_from_slice(b",\"message\":");
        quote_into(out, &self.message);
        let numbers = [
            (AGENT, self.agent.map(AskedId::number)),
            (TASK_ID, self.task_id.map(|task| task.0)),
        ];
        for (key, value) in numbers {
            if let Some(value) = value {
                member(out, key);
                number(out, value);
            }
        }
        let texts = [
            ("node", self.node.as_deref()),
            ("module", self.module.as_deref()),
            ("command", self.command.as_ref().map(Command::as_str)),
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
        for (key, value) in &self.own.0 {
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
    pub error: Code,
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
            error: code.into(),
            data,
            message: Cow::Borrowed(code.text()),
        }
    }

    /// An answer of the task socket.
    pub fn task(code: TaskCode, data: Vec<Item>) -> Self {
        Self {
            error: code.into(),
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
        print(self.error, &self.message, self.data.len(), self.data.iter())
    }

    /// The bytes of an answer to a request that was understood. Each item is made when it
    /// is printed, so that those of tens of thousands of agents are never there at a time.
    pub fn printed(items: impl ExactSizeIterator<Item = Item>) -> Bytes {
        let code = UpgradeCode::Success;
        print(code.into(), code.text(), items.len(), items)
    }
}

fn print(
    error: Code,
    message: &str,
    count: usize,
    items: impl Iterator<Item = impl Borrow<Item>>,
) -> Bytes {
    // Most items are this short; the buffer grows for those that are not.
    let mut out = Vec::with_capacity(64 + count * 72);
    out.extend_from_slice(b"{\"error\":");
    number(&mut out, error.number().into());
    out.extend_from_slice(b",\"data\":[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item.borrow().print(&mut out);
    }
    out.extend_from_slice(b"],\"message\":");
    quote_into(&mut out, message);
    out.push(b'}');
    Bytes::from(out)
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
