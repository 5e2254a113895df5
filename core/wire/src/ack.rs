//! Acknowledgements (section 6): what an agent reports after its installer
//! ran, in every form it takes on its way to the manager.
//!
//! The agent prints a message or a datagram; the embedded channel carries the
//! message; a 4.x manager's event pipeline adds `agents` and writes it to the
//! upgrade socket, where [`crate::UpgradeRequest::parse`] reads it.

use serde_json::{Map, Value};
use wpk_api::{Status, TaskId};

use crate::agents;
use crate::asked::AskedId;
use crate::codes::UpgradeCode;
use crate::json;
use crate::parameters::{TASK_ID, should_be, text};
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// The command in every acknowledgement.
const COMMAND: UpgradeCommand = UpgradeCommand::UpgradeUpdateStatus;

/// What stands before the JSON in the datagram to the agent's queue.
pub const DATAGRAM_PREFIX: &str = "u:upgrade_module:";

/// An agent's report. Members that were not sent are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// 0 done, 1 failed for a missing dependency, anything else failed.
    pub error: Option<i64>,
    /// Text for the log.
    pub message: Option<String>,
    /// Done or Failed; others are judged by [`Acknowledgement::verdict`].
    pub status: Option<Status>,
    /// The task it is about, where the manager told the agent (section 16).
    pub task: Option<TaskId>,
}

/// What an acknowledgement asks of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The task is Done.
    Done,
    /// The task is Failed, with the text of this code (24 or 25) as `error_msg`.
    Failed(UpgradeCode),
    /// The status was `In progress`. No agent sends that; a 4.x manager tries
    /// the move all the same, and mostly finds no task for it.
    InProgress,
    /// The status was `Legacy`; likewise.
    Legacy,
    /// No status, or none that an acknowledgement may set: code 4 for the agent.
    Unusable,
}

impl Acknowledgement {
    /// The report for what an installer left in `upgrade_result`: 0, 1 or 2.
    /// `None` for any other number, which is no result.
    pub fn for_result(result: u8) -> Option<Self> {
        let (message, status) = match result {
            0 => ("Upgrade was successful", Status::Done),
            1 => ("Upgrade failed due missing dependency", Status::Failed),
            2 => ("Upgrade failed", Status::Failed),
            _ => return None,
        };
        Some(Self {
            error: Some(result.into()),
            message: Some(message.to_owned()),
            status: Some(status),
            task: None,
        })
    }

    /// The same about this task.
    #[must_use]
    pub fn about(self, task: Option<TaskId>) -> Self {
        Self { task, ..self }
    }

    /// Reads the agent's message; `agents`, where present, is not looked at.
    ///
    /// # Errors
    /// A [`Refusal`] of the upgrade socket: 1 for no JSON, 2 without
    /// `command` and `parameters`, 3 for another command or a wrong type.
    pub fn parse(message: &[u8]) -> Result<Self, Refusal> {
        let root = json::parse(message).map_err(|_| Refusal::upgrade(UpgradeCode::ParsingError))?;
        let (Some(Value::String(command)), Some(Value::Object(parameters))) =
            (root.get("command"), root.get("parameters"))
        else {
            return Err(Refusal::upgrade(UpgradeCode::RequiredParameters));
        };
        if command != COMMAND.as_str() {
            return Err(Refusal::upgrade(UpgradeCode::NotRecognized));
        }
        Self::from_parameters(parameters)
    }

    /// Reads the datagram form; the NUL byte at its end may be missing.
    ///
    /// # Errors
    /// As [`Acknowledgement::parse`]; 1 where the prefix is missing.
    pub fn parse_datagram(datagram: &[u8]) -> Result<Self, Refusal> {
        datagram
            .strip_prefix(DATAGRAM_PREFIX.as_bytes())
            .ok_or_else(|| Refusal::upgrade(UpgradeCode::ParsingError))
            .and_then(Self::parse)
    }

    pub(crate) fn from_parameters(parameters: &Map<String, Value>) -> Result<Self, Refusal> {
        let error = match parameters.get("error") {
            None => None,
            Some(Value::Number(number)) => Some(whole(number)),
            Some(_) => return Err(should_be("error", "a number")),
        };
        Ok(Self {
            error,
            message: text(parameters, "message")?,
            status: text(parameters, "status")?.map(|word| Status::from_word(&word)),
            task: match parameters.get(TASK_ID) {
                None => None,
                Some(id) => Some(
                    json::integer(id)
                        .map(TaskId)
                        .ok_or_else(|| should_be(TASK_ID, "a number"))?,
                ),
            },
        })
    }

    /// What the task becomes. `error` decides over `status` where they
    /// contradict each other; a status that is none makes the whole unusable.
    pub fn verdict(&self) -> Verdict {
        let done = match &self.status {
            Some(Status::Done) => true,
            Some(Status::Failed) => false,
            Some(Status::InProgress) => return Verdict::InProgress,
            Some(Status::Legacy) => return Verdict::Legacy,
            _ => return Verdict::Unusable,
        };
        match self.error {
            Some(0) => Verdict::Done,
            None if done => Verdict::Done,
            Some(1) => Verdict::Failed(UpgradeCode::MissingDependency),
            Some(_) | None => Verdict::Failed(UpgradeCode::UpgradeFailed),
        }
    }

    /// The agent's message.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.print(None)
    }

    /// The message as the manager's event pipeline hands it on, with `agents`.
    pub fn to_bytes_for(&self, agents: &[AskedId]) -> Vec<u8> {
        self.print(Some(agents))
    }

    /// The datagram for the queue of a real agent: prefix, message without a task,
    /// and the NUL byte that a real agent sends along.
    pub fn to_datagram(&self) -> Vec<u8> {
        let mut out = DATAGRAM_PREFIX.as_bytes().to_vec();
        // A 4.x manager knows agents and no tasks.
        out.extend_from_slice(&self.clone().about(None).print(None));
        out.push(0);
        out
    }

    fn print(&self, agents: Option<&[AskedId]>) -> Vec<u8> {
        let mut out = format!("{{\"command\":\"{COMMAND}\",\"parameters\":{{");
        let mut members = Vec::new();
        if let Some(error) = self.error {
            members.push(format!("\"error\":{error}"));
        }
        if let Some(message) = &self.message {
            members.push(format!("\"message\":{}", json::quote(message)));
        }
        if let Some(status) = &self.status {
            members.push(format!("\"status\":{}", json::quote(status.as_str())));
        }
        if let Some(task) = self.task {
            members.push(format!("\"{TASK_ID}\":{task}"));
        }
        if let Some(agents) = agents {
            members.push(agents::listed(agents));
        }
        out.push_str(&members.join(","));
        out.push_str("}}");
        out.into_bytes()
    }
}

/// A number as the whole number it starts with. A fraction next to 0 must not
/// become the 0 that means success.
fn whole(number: &serde_json::Number) -> i64 {
    let value = Value::Number(number.clone());
    json::integer(&value).unwrap_or_else(|| {
        let cut = number.as_f64().unwrap_or(2.0) as i64;
        if cut == 0 { 2 } else { cut }
    })
}
