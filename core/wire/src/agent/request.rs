//! The agent's upgrade socket (section 7): commands as the agent reads them.
//!
//! What was refused still tells the agent something: an `open` that is refused
//! closes the file of an earlier one, an `upgrade` that is refused still ends
//! with its WPK removed, and a disabled agent answers code 1 to anything that
//! names a command. [`AgentRefusal`] carries what is needed for that.

use serde_json::Value;
use wpk_api::TaskId;

use super::command::Step;
use super::response::AgentResponse;
use crate::codes::AgentCode;
use crate::json;
use crate::parameters::TASK_ID;

/// The longest file name, in bytes; longer ones are no names at all. The
/// operating system's own limit is lower and answers with code 6.
pub const MAX_FILE_NAME: usize = 4095;

/// A command that was understood. File names are bare: not empty, no `/`, not
/// `.` or `..`, no NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentRequest {
    /// Open for writing; the mode was `w` or `wb`.
    Open {
        /// The file.
        file: String,
    },
    /// Append.
    Write {
        /// The file.
        file: String,
        /// The decoded bytes, never empty; `None` for code 10, once 7 and 9
        /// are ruled out: no buffer, bad base64, or a `length` that is not the
        /// decoded length.
        chunk: Option<Vec<u8>>,
    },
    /// Close.
    Close {
        /// The file.
        file: String,
    },
    /// The digest of a file.
    Sha1 {
        /// The file.
        file: String,
    },
    /// Unpack and run.
    Upgrade {
        /// The WPK.
        file: String,
        /// The installer: a path inside the package, never above it.
        installer: String,
        /// The manager's task, to be named in the acknowledgement (section 16);
        /// `None` from one that names none.
        task: Option<TaskId>,
    },
    /// Remove the result and allow upgrades again.
    ClearUpgradeResult {
        /// Only if it is the result of this task; `None`: whatever it is of.
        task: Option<TaskId>,
    },
}

/// A command that was refused before anything was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("command refused with code {}: {code}", code.code())]
pub struct AgentRefusal {
    /// The code of the answer.
    pub code: AgentCode,
    /// Whether the message named a command at all: a disabled agent then
    /// answers code 1 instead.
    pub named: bool,
    /// The command, where it is one of ours.
    pub step: Option<Step>,
    /// The file, where a good name was given.
    pub file: Option<String>,
}

impl AgentRefusal {
    /// The answer.
    pub fn to_response(&self) -> AgentResponse {
        AgentResponse::failure(self.code)
    }
}

impl AgentRequest {
    /// Reads a command: the payload of a frame on the agent's socket, or what
    /// follows `upgrade ` on a channel.
    ///
    /// # Errors
    /// [`AgentRefusal`] with the code that a real agent answers: 2 for no JSON
    /// or an unknown command, 3 without `parameters`, 4 for the mode, 5 for a
    /// name (13 for the file of `upgrade`).
    pub fn parse(payload: &[u8]) -> Result<Self, AgentRefusal> {
        let refuse = |code, named, step| AgentRefusal {
            code,
            named,
            step,
            file: None,
        };
        let not_found = AgentCode::CommandNotFound;
        let Ok(Value::Object(mut root)) = json::parse(payload) else {
            return Err(refuse(not_found, false, None));
        };
        let Some(Value::String(command)) = root.remove("command") else {
            return Err(refuse(not_found, false, None));
        };
        // A restart is not locked on this way ([`route`] knows it).
        let step = Step::from_word(&command).filter(|step| *step != Step::LockRestart);
        if step == Some(Step::ClearUpgradeResult) {
            let parameters = root.get("parameters");
            return Ok(Self::ClearUpgradeResult {
                task: parameters.and_then(task),
            });
        }
        let Some(parameters) = root.remove("parameters") else {
            return Err(refuse(AgentCode::ParametersNotFound, true, step));
        };
        let Some(step) = step else {
            return Err(refuse(not_found, true, None));
        };
        Self::with_parameters(step, parameters)
    }

    fn with_parameters(step: Step, mut parameters: Value) -> Result<Self, AgentRefusal> {
        let file = parameters
            .get_mut("file")
            .map(Value::take)
            .and_then(|file| match file {
                Value::String(name) if is_bare_name(&name) => Some(name),
                _ => None,
            });
        let refuse = |code, file| AgentRefusal {
            code,
            named: true,
            step: Some(step),
            file,
        };
        if step == Step::Open {
            let mode = parameters.get("mode").and_then(Value::as_str);
            if !matches!(mode, Some("w" | "wb")) {
                return Err(refuse(AgentCode::FileMode, file));
            }
        }
        let Some(file) = file else {
            // A real agent reports the name in `upgrade` as a file that cannot be verified.
            let code = match step {
                Step::Upgrade => AgentCode::Signature,
                _ => AgentCode::FileName,
            };
            return Err(refuse(code, None));
        };
        Ok(match step {
            Step::Open => Self::Open { file },
            Step::Write => Self::Write {
                chunk: chunk(&parameters),
                file,
            },
            Step::Close => Self::Close { file },
            Step::Sha1 => Self::Sha1 { file },
            Step::Upgrade => match parameters.get("installer").and_then(Value::as_str) {
                Some(installer) if is_inside(installer) => Self::Upgrade {
                    file,
                    installer: installer.to_owned(),
                    task: task(&parameters),
                },
                _ => return Err(refuse(AgentCode::FileName, Some(file))),
            },
            Step::LockRestart | Step::ClearUpgradeResult => {
                return Err(refuse(AgentCode::CommandNotFound, Some(file)));
            }
        })
    }
}

/// The task that is named; what is no id names none.
fn task(parameters: &Value) -> Option<TaskId> {
    let id = parameters.get(TASK_ID)?.as_i64()?;
    (id > 0).then_some(TaskId(id))
}

/// The decoded buffer, if its length is the one announced.
fn chunk(parameters: &Value) -> Option<Vec<u8>> {
    let length = json::integer(parameters.get("length")?)?;
    let buffer = parameters.get("buffer")?.as_str()?;
    let decoded = base64_simd::STANDARD.decode_to_vec(buffer).ok()?;
    let announced = usize::try_from(length).ok()?;
    (!decoded.is_empty() && decoded.len() == announced).then_some(decoded)
}

fn is_bare_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_FILE_NAME
        && name != "."
        && name != ".."
        && !name.contains(['/', '\0'])
        && (cfg!(unix) || !name.contains('\\'))
}

/// Whether a path stays inside the folder that it starts from, and names a file there.
fn is_inside(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    path.len() <= MAX_FILE_NAME
        && parts.next().is_some_and(is_bare_name)
        && parts.all(|part| part == "." || is_bare_name(part))
}

/// A command as it arrives on the agent's end of a channel, after the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed<'a> {
    /// `com lock_restart SECONDS`: answered `ok `.
    LockRestart,
    /// `upgrade JSON`: for [`AgentRequest::parse`].
    Upgrade(&'a [u8]),
    /// Nothing that this agent does: answered with [`Routed::UNKNOWN_ANSWER`].
    Unknown,
}

impl Routed<'_> {
    /// The answer to a locked restart.
    pub const LOCK_RESTART_ANSWER: &'static [u8] = b"ok ";
    /// The answer to a command that is none.
    pub const UNKNOWN_ANSWER: &'static [u8] = b"err Unrecognized command";
}

/// Tells where a command of a channel belongs.
pub fn route(command: &[u8]) -> Routed<'_> {
    if let Some(json) = command.strip_prefix(b"upgrade ") {
        Routed::Upgrade(json)
    } else if command == b"com lock_restart" || command.starts_with(b"com lock_restart ") {
        Routed::LockRestart
    } else {
        Routed::Unknown
    }
}
