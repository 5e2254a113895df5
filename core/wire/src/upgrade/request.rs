//! Requests of the upgrade socket.
//!
//! Which refusal wins where several are due was taken from recordings: JSON
//! (1), then `command`, `parameters` and `agents` (2), an unknown command (3),
//! `origin` and `file_path` under the documented dialect (2, 3), the agent ids
//! (3), and last each parameter of the command (3).

use serde_json::{Map, Value};

use crate::ack::{self, Acknowledgement};
use crate::agents::{self, AgentsError};
use crate::codes::UpgradeCode;
use crate::json;
use crate::refusal::Refusal;
use wpk_api::Dialect;

/// Commands of our own, which no 4.x manager knows: the list of agents,
/// enrolment, and the progress of deliveries.
pub const EXTENSIONS: &[&str] = &["agent_list", "agent_enroll", "upgrade_progress"];

/// The kinds of package that a request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageType {
    /// `rpm`
    Rpm,
    /// `deb`
    Deb,
}

impl PackageType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Deb => "deb",
        }
    }

    /// The type with that word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "rpm" => Some(Self::Rpm),
            "deb" => Some(Self::Deb),
            _ => None,
        }
    }
}

/// Parameters of `upgrade`. Texts are as the client wrote them: a version may
/// be any text, an empty repository is `Some("")`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeParams {
    /// Repository instead of the configured one.
    pub wpk_repo: Option<String>,
    /// Target, `vX.Y.Z` or `X.Y.Z`.
    pub version: Option<String>,
    /// HTTP where the repository names no scheme.
    pub use_http: bool,
    /// Skip the checks of versions.
    pub force_upgrade: bool,
    /// Package type for agents that have none of their own, or another with force.
    pub package_type: Option<PackageType>,
    /// Ours, unknown to a 4.x manager: say what would be done, create nothing.
    pub dry_run: bool,
}

/// Parameters of `upgrade_custom`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomParams {
    /// Path of the WPK file on the manager; always present under the documented dialect.
    pub file_path: Option<String>,
    /// Installer instead of the default of the platform.
    pub installer: Option<String>,
    /// Ours, unknown to a 4.x manager: say what would be done, create nothing.
    pub dry_run: bool,
}

/// A request that was understood. Ids are as sent: the caller refuses those
/// outside 0 to 2147483647 one by one (code 6), and there may be doubles.
#[derive(Clone, Debug, PartialEq)]
pub enum UpgradeRequest {
    /// From a repository.
    Upgrade {
        /// Not empty.
        agents: Vec<i64>,
        /// What to upgrade to, and from where.
        params: UpgradeParams,
    },
    /// From a file.
    UpgradeCustom {
        /// Not empty.
        agents: Vec<i64>,
        /// Which file.
        params: CustomParams,
    },
    /// What became of the last task of each agent.
    Result {
        /// Not empty.
        agents: Vec<i64>,
    },
    /// The acknowledgement of agents (section 6).
    UpdateStatus {
        /// Not empty.
        agents: Vec<i64>,
        /// What they say.
        ack: Acknowledgement,
    },
    /// One of [`EXTENSIONS`].
    Extension {
        /// Which.
        command: String,
        /// Its parameters, empty where none were sent.
        parameters: Map<String, Value>,
    },
}

impl UpgradeRequest {
    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// The [`Refusal`] of the whole request, which prints its own answer.
    pub fn parse(payload: &[u8], dialect: Dialect) -> Result<Self, Refusal> {
        let root = json::parse(payload).map_err(|_| Refusal::upgrade(UpgradeCode::ParsingError))?;
        let missing = || Refusal::upgrade(UpgradeCode::RequiredParameters);
        let Some(Value::String(command)) = root.get("command") else {
            return Err(missing());
        };
        if EXTENSIONS.contains(&command.as_str()) {
            return extension(command, root.get("parameters"));
        }
        let Some(Value::Object(parameters)) = root.get("parameters") else {
            return Err(missing());
        };
        let Some(ids) = agents::elements(parameters) else {
            return Err(missing());
        };
        let command = Command::from_word(command)
            .ok_or_else(|| Refusal::upgrade(UpgradeCode::NotRecognized))?;
        if dialect == Dialect::Documented {
            if command != Command::UpdateStatus {
                check_origin(&root)?;
            }
            if command == Command::UpgradeCustom && !parameters.contains_key("file_path") {
                return Err(missing());
            }
        }
        let agents = agents::ids(ids).map_err(|AgentsError::NotInteger| {
            Refusal::not_recognized("Agent id not recognized")
        })?;
        Ok(match command {
            Command::Upgrade => Self::Upgrade {
                agents,
                params: upgrade_params(parameters)?,
            },
            Command::UpgradeCustom => Self::UpgradeCustom {
                agents,
                params: CustomParams {
                    file_path: text(parameters, "file_path")?,
                    installer: text(parameters, "installer")?,
                    dry_run: flag(parameters, "dry_run")?,
                },
            },
            Command::Result => Self::Result { agents },
            Command::UpdateStatus => Self::UpdateStatus {
                agents,
                ack: Acknowledgement::from_parameters(parameters)?,
            },
        })
    }

    /// The request as a client of either dialect sends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (command, agents, more) = match self {
            Self::Upgrade { agents, params } => ("upgrade", agents, print_upgrade(params)),
            Self::UpgradeCustom { agents, params } => {
                let mut more = String::new();
                for (key, text) in [
                    ("file_path", &params.file_path),
                    ("installer", &params.installer),
                ] {
                    if let Some(text) = text {
                        more.push_str(&format!(",\"{key}\":{}", json::quote(text)));
                    }
                }
                more.push_str(print_dry_run(params.dry_run));
                ("upgrade_custom", agents, more)
            }
            Self::Result { agents } => ("upgrade_result", agents, String::new()),
            Self::UpdateStatus { agents, ack } => return ack.to_bytes_for(agents),
            Self::Extension {
                command,
                parameters,
            } => {
                return serde_json::json!({
                    "origin": {"module": "api"}, "command": command, "parameters": parameters,
                })
                .to_string()
                .into_bytes();
            }
        };
        format!(
            "{{\"origin\":{{\"module\":\"api\"}},\"command\":\"{command}\",\"parameters\":{{\"agents\":{}{more}}}}}",
            json::numbers(agents)
        )
        .into_bytes()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Upgrade,
    UpgradeCustom,
    Result,
    UpdateStatus,
}

impl Command {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "upgrade" => Some(Self::Upgrade),
            "upgrade_custom" => Some(Self::UpgradeCustom),
            "upgrade_result" => Some(Self::Result),
            ack::COMMAND => Some(Self::UpdateStatus),
            _ => None,
        }
    }
}

fn extension(command: &str, parameters: Option<&Value>) -> Result<UpgradeRequest, Refusal> {
    let parameters = match parameters {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters.clone(),
        Some(_) => return Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
    };
    Ok(UpgradeRequest::Extension {
        command: command.to_owned(),
        parameters,
    })
}

fn check_origin(root: &Value) -> Result<(), Refusal> {
    match root.get("origin").and_then(|origin| origin.get("module")) {
        None => Err(Refusal::upgrade(UpgradeCode::RequiredParameters)),
        Some(Value::String(module)) if module == "api" => Ok(()),
        Some(_) => Err(Refusal::not_recognized(
            "Parameter \"module\" should be \"api\"",
        )),
    }
}

fn upgrade_params(parameters: &Map<String, Value>) -> Result<UpgradeParams, Refusal> {
    Ok(UpgradeParams {
        wpk_repo: text(parameters, "wpk_repo")?,
        version: text(parameters, "version")?,
        use_http: flag(parameters, "use_http")?,
        force_upgrade: flag(parameters, "force_upgrade")?,
        dry_run: flag(parameters, "dry_run")?,
        package_type: match text(parameters, "package_type")? {
            None => None,
            Some(word) => match PackageType::from_word(&word) {
                Some(package_type) => Some(package_type),
                None => {
                    return Err(Refusal::not_recognized(
                        "Invalid parameter \"package_type\", value should be \"rpm\" or \"deb\"",
                    ));
                }
            },
        },
    })
}

fn text(parameters: &Map<String, Value>, key: &str) -> Result<Option<String>, Refusal> {
    match parameters.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::not_recognized(format!(
            "Parameter \"{key}\" should be a string"
        ))),
    }
}

fn flag(parameters: &Map<String, Value>, key: &str) -> Result<bool, Refusal> {
    match parameters.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Refusal::not_recognized(format!(
            "Parameter \"{key}\" should be true or false"
        ))),
    }
}

fn print_upgrade(params: &UpgradeParams) -> String {
    let mut more = String::new();
    for (key, text) in [("wpk_repo", &params.wpk_repo), ("version", &params.version)] {
        if let Some(text) = text {
            more.push_str(&format!(",\"{key}\":{}", json::quote(text)));
        }
    }
    more.push_str(&format!(
        ",\"use_http\":{},\"force_upgrade\":{}",
        params.use_http, params.force_upgrade
    ));
    if let Some(package_type) = params.package_type {
        more.push_str(&format!(",\"package_type\":\"{}\"", package_type.as_str()));
    }
    more.push_str(print_dry_run(params.dry_run));
    more
}

fn print_dry_run(dry_run: bool) -> &'static str {
    if dry_run { ",\"dry_run\":true" } else { "" }
}
