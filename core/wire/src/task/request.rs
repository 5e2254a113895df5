//! Requests of the task socket, read from clients and printed for the master
//! node by workers (section 10).
//!
//! Which refusal wins was taken from recordings: the shape of the message (1),
//! an unknown command (2), what the command needs (1), a status that no request
//! may set (4), texts that are too long (6).

use serde_json::{Map, Value};
use wpk_api::{Command, Status};

use crate::agents::{self, listed};
use crate::asked::AskedId;
use crate::codes::TaskCode;
use crate::json;
use crate::refusal::Refusal;
use crate::task::command::TaskCommand;

/// The module that our own requests come from.
pub const UPGRADE_MODULE: &str = "upgrade_module";

/// The longest node name, module or `error_msg`, in bytes. A recorded manager
/// answers longer ones with code 6, and the table should not fill with them.
pub const MAX_TEXT: usize = 2048;

/// By which a node of ours says that it holds the orders of its tasks (section 15).
const HOLDS_ORDER: &str = "holds_order";

/// Which kind of task is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateCommand {
    /// `upgrade`
    Upgrade,
    /// `upgrade_custom`
    UpgradeCustom,
}

impl From<CreateCommand> for Command {
    fn from(command: CreateCommand) -> Self {
        match command {
            CreateCommand::Upgrade => Self::Upgrade,
            CreateCommand::UpgradeCustom => Self::UpgradeCustom,
        }
    }
}

impl TryFrom<&Command> for CreateCommand {
    /// A command that no task manager creates.
    type Error = String;

    fn try_from(command: &Command) -> Result<Self, String> {
        match command {
            Command::Upgrade => Ok(Self::Upgrade),
            Command::UpgradeCustom => Ok(Self::UpgradeCustom),
            Command::Other(word) => Err(word.clone()),
        }
    }
}

/// A request that was understood. Ids are as sent, never empty, maybe doubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskRequest {
    /// New tasks, Pending.
    Create {
        /// Node that will carry them out.
        node: String,
        /// Module that asks.
        module: String,
        /// The kind.
        command: CreateCommand,
        /// For whom.
        agents: Vec<AskedId>,
        /// That node holds the orders (section 15).
        holds_order: bool,
    },
    /// The stored status of the last task of each agent; deletes Pending tasks
    /// of other nodes.
    GetStatus {
        /// The asking node.
        node: String,
        /// Of whom.
        agents: Vec<AskedId>,
    },
    /// A task moves on.
    UpdateStatus {
        /// The asking node.
        node: String,
        /// Whose tasks.
        agents: Vec<AskedId>,
        /// One of [`TaskRequest::STATUSES`].
        status: Status,
        /// Why it failed.
        error_msg: Option<String>,
    },
    /// The whole last task of each agent.
    Result {
        /// Of whom.
        agents: Vec<AskedId>,
    },
    /// Pending tasks of the node become Cancelled.
    Cancel {
        /// The node.
        node: String,
        /// It says so of the tasks whose orders it holds as well (section 15).
        holds_order: bool,
    },
}

impl TaskRequest {
    /// The stored statuses that a request may set.
    pub const STATUSES: [Status; 4] = [
        Status::InProgress,
        Status::Done,
        Status::Failed,
        Status::Legacy,
    ];

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// The [`Refusal`] of the whole request, which prints its own answer.
    pub fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let root = json::parse(payload).map_err(|_| invalid())?;
        let (
            Some(Value::Object(origin)),
            Some(Value::String(command)),
            Some(Value::Object(parameters)),
        ) = (
            root.get("origin"),
            root.get("command"),
            root.get("parameters"),
        )
        else {
            return Err(invalid());
        };
        let Some(command) = TaskCommand::from_word(command) else {
            return Err(Refusal::task(TaskCode::InvalidCommand));
        };
        match command {
            TaskCommand::Upgrade => create(origin, parameters, CreateCommand::Upgrade),
            TaskCommand::UpgradeCustom => create(origin, parameters, CreateCommand::UpgradeCustom),
            TaskCommand::UpgradeGetStatus => Ok(Self::GetStatus {
                agents: ids(parameters)?,
                node: limited(text(origin, "name")?)?,
            }),
            TaskCommand::UpgradeUpdateStatus => update_status(origin, parameters),
            TaskCommand::UpgradeResult => Ok(Self::Result {
                agents: ids(parameters)?,
            }),
            TaskCommand::UpgradeCancelTasks => Ok(Self::Cancel {
                node: limited(text(origin, "name")?)?,
                holds_order: holds_order(parameters),
            }),
        }
    }

    /// The command that asks it.
    pub fn command(&self) -> TaskCommand {
        match self {
            Self::Create { command, .. } => match command {
                CreateCommand::Upgrade => TaskCommand::Upgrade,
                CreateCommand::UpgradeCustom => TaskCommand::UpgradeCustom,
            },
            Self::GetStatus { .. } => TaskCommand::UpgradeGetStatus,
            Self::UpdateStatus { .. } => TaskCommand::UpgradeUpdateStatus,
            Self::Result { .. } => TaskCommand::UpgradeResult,
            Self::Cancel { .. } => TaskCommand::UpgradeCancelTasks,
        }
    }

    /// The payload of the request, for a task manager elsewhere.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (node, module, parameters) = match self {
            Self::Create {
                node,
                module,
                agents,
                holds_order,
                ..
            } => {
                let mut parameters = listed(agents);
                if *holds_order {
                    parameters.push_str(&format!(",\"{HOLDS_ORDER}\":true"));
                }
                (Some(node), module.as_str(), parameters)
            }
            Self::GetStatus { node, agents } => (Some(node), UPGRADE_MODULE, listed(agents)),
            Self::UpdateStatus {
                node,
                agents,
                status,
                error_msg,
            } => {
                let mut parameters = listed(agents);
                parameters.push_str(&format!(",\"status\":{}", json::quote(status.as_str())));
                if let Some(error_msg) = error_msg {
                    parameters.push_str(&format!(",\"error_msg\":{}", json::quote(error_msg)));
                }
                (Some(node), UPGRADE_MODULE, parameters)
            }
            Self::Result { agents } => (None, UPGRADE_MODULE, listed(agents)),
            Self::Cancel { node, holds_order } => {
                let held = holds_order.then(|| format!("\"{HOLDS_ORDER}\":true"));
                (Some(node), UPGRADE_MODULE, held.unwrap_or_default())
            }
        };
        let name = node.map_or_else(String::new, |node| {
            format!("\"name\":{},", json::quote(node))
        });
        format!(
            "{{\"origin\":{{{name}\"module\":{}}},\"command\":\"{}\",\"parameters\":{{{parameters}}}}}",
            json::quote(module),
            self.command()
        )
        .into_bytes()
    }
}

fn invalid() -> Refusal {
    Refusal::task(TaskCode::InvalidMessage)
}

fn create(
    origin: &Map<String, Value>,
    parameters: &Map<String, Value>,
    command: CreateCommand,
) -> Result<TaskRequest, Refusal> {
    let (node, module) = (text(origin, "name")?, text(origin, "module")?);
    let agents = ids(parameters)?;
    Ok(TaskRequest::Create {
        node: limited(node)?,
        module: limited(module)?,
        command,
        agents,
        holds_order: holds_order(parameters),
    })
}

/// Anything but `true` is no word of a node of ours.
fn holds_order(parameters: &Map<String, Value>) -> bool {
    parameters.get(HOLDS_ORDER) == Some(&Value::Bool(true))
}

fn update_status(
    origin: &Map<String, Value>,
    parameters: &Map<String, Value>,
) -> Result<TaskRequest, Refusal> {
    let node = text(origin, "name")?;
    let agents = ids(parameters)?;
    let status = Status::from_word(&text(parameters, "status")?);
    if !TaskRequest::STATUSES.contains(&status) {
        return Err(Refusal::task(TaskCode::Database));
    }
    // A message that is no text is ignored, as recorded.
    let error_msg = match parameters.get("error_msg") {
        Some(Value::String(message)) => Some(limited(message.clone())?),
        _ => None,
    };
    Ok(TaskRequest::UpdateStatus {
        node: limited(node)?,
        agents,
        status,
        error_msg,
    })
}

fn ids(parameters: &Map<String, Value>) -> Result<Vec<AskedId>, Refusal> {
    agents::elements(parameters)
        .and_then(|elements| agents::ids(elements).ok())
        .ok_or_else(invalid)
}

fn text(members: &Map<String, Value>, key: &str) -> Result<String, Refusal> {
    match members.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(invalid()),
    }
}

fn limited(text: String) -> Result<String, Refusal> {
    if text.len() > MAX_TEXT {
        return Err(Refusal::task(TaskCode::DatabaseRequest));
    }
    Ok(text)
}
