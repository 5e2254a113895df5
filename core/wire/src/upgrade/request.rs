//! Requests of the upgrade socket.
//!
//! Which refusal wins where several are due was taken from recordings: JSON
//! (1), then `command`, `parameters` and `agents` (2), an unknown command (3),
//! `origin` and `file_path` under the documented dialect (2, 3), the agent ids
//! (3), and last each parameter of the command (3).

use std::fmt;

use serde_json::{Map, Value};
use wpk_api::repository::shown;
use wpk_api::{Dialect, PackageType, Target};

use crate::ack::Acknowledgement;
use crate::agents::{self, AgentsError};
use crate::asked::AskedId;
use crate::codes::UpgradeCode;
use crate::json;
use crate::own::OwnRequest;
use crate::parameters::{flag, text};
use crate::refusal::Refusal;
use crate::upgrade::command::UpgradeCommand;

/// The longest text of a target that is no version which is kept, in characters.
const MAX_INVALID: usize = 64;

/// Parameters of `upgrade`. Texts are as the client wrote them: a version may
/// be any text, an empty repository is `Some("")`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UpgradeParams {
    /// Repository instead of the configured one; may hold a password, which `Debug`
    /// leaves out.
    pub wpk_repo: Option<String>,
    /// Target, `vX.Y.Z` or `X.Y.Z`.
    pub version: Option<String>,
    /// HTTP where the repository names no scheme.
    pub use_http: bool,
    /// Skip the checks of versions.
    pub force_upgrade: bool,
    /// Package type for agents that have none of their own, or another with
    /// force: rpm or deb, since managers refuse a request with another.
    pub package_type: Option<PackageType>,
    /// Ours, unknown to a 4.x manager: say what would be done, create nothing.
    pub dry_run: bool,
    /// The request names a `file_path` as well, which this command passes over as it
    /// does every parameter it does not know; never printed.
    pub names_file: bool,
}

impl UpgradeParams {
    /// The version asked for; `None` where the request leaves it to the manager.
    pub fn target(&self) -> Option<Target> {
        let text = self.version.as_deref()?;
        Some(text.parse().map_or_else(
            |_| Target::Invalid(text.chars().take(MAX_INVALID).collect()),
            Target::Exactly,
        ))
    }
}

impl fmt::Debug for UpgradeParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeParams")
            .field("wpk_repo", &self.wpk_repo.as_deref().map(shown))
            .field("version", &self.version)
            .field("use_http", &self.use_http)
            .field("force_upgrade", &self.force_upgrade)
            .field("package_type", &self.package_type)
            .field("dry_run", &self.dry_run)
            .field("names_file", &self.names_file)
            .finish()
    }
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
    /// Ours: look at the file first, and create nothing if it cannot be sent. A dry run does
    /// so in any case. With it `installer`, or that of one of the platforms, must be in it.
    pub check_file: bool,
    /// Ours, with `check_file`: the CAs of which one must have signed it, PEM; at most
    /// [`LONGEST_CA`] bytes.
    pub ca: Option<String>,
}

/// The installer that is run where an `upgrade_custom` names none, and always by `upgrade`
/// (section 5 of the protocol).
pub const INSTALLER: &str = "upgrade.sh";
/// The same on Windows.
pub const INSTALLER_OF_WINDOWS: &str = "upgrade.bat";

/// The longest `ca` of an `upgrade_custom`, in bytes.
pub const LONGEST_CA: usize = 256 << 10;

/// A request that was understood. Ids are as sent: the caller refuses those that
/// are none one by one (code 6), and there may be doubles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeRequest {
    /// From a repository.
    Upgrade {
        /// Not empty.
        agents: Vec<AskedId>,
        /// What to upgrade to, and from where.
        params: UpgradeParams,
    },
    /// From a file.
    UpgradeCustom {
        /// Not empty.
        agents: Vec<AskedId>,
        /// Which file.
        params: CustomParams,
    },
    /// What became of the last task of each agent.
    Result {
        /// Not empty.
        agents: Vec<AskedId>,
    },
    /// The acknowledgement of agents (section 6).
    UpdateStatus {
        /// Not empty.
        agents: Vec<AskedId>,
        /// What they say.
        ack: Acknowledgement,
    },
    /// One of our own commands.
    Own(OwnRequest),
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
        let command = UpgradeCommand::from_word(command);
        if let Some(own) = command.and_then(|own| OwnRequest::read(own, root.get("parameters"))) {
            return own.map(Self::Own);
        }
        let Some(Value::Object(parameters)) = root.get("parameters") else {
            return Err(missing());
        };
        let Some(ids) = agents::elements(parameters) else {
            return Err(missing());
        };
        let unknown = || Refusal::upgrade(UpgradeCode::NotRecognized);
        let command = command.ok_or_else(unknown)?;
        if dialect == Dialect::Documented {
            if command != UpgradeCommand::UpgradeUpdateStatus {
                check_origin(&root)?;
            }
            if command == UpgradeCommand::UpgradeCustom && !parameters.contains_key("file_path") {
                return Err(missing());
            }
        }
        let agents = agents::ids(ids).map_err(|AgentsError::NotInteger| {
            Refusal::not_recognized("Agent id not recognized")
        })?;
        Ok(match command {
            UpgradeCommand::Upgrade => Self::Upgrade {
                agents,
                params: upgrade_params(parameters)?,
            },
            UpgradeCommand::UpgradeCustom => Self::UpgradeCustom {
                agents,
                params: CustomParams {
                    file_path: text(parameters, "file_path")?,
                    installer: text(parameters, "installer")?,
                    dry_run: flag(parameters, "dry_run")?,
                    check_file: flag(parameters, "check_file")?,
                    ca: authorities(parameters)?,
                },
            },
            UpgradeCommand::UpgradeResult => Self::Result { agents },
            UpgradeCommand::UpgradeUpdateStatus => Self::UpdateStatus {
                agents,
                ack: Acknowledgement::from_parameters(parameters)?,
            },
            // Ours are read above.
            _ => return Err(unknown()),
        })
    }

    /// The command that asks it.
    pub fn command(&self) -> UpgradeCommand {
        match self {
            Self::Upgrade { .. } => UpgradeCommand::Upgrade,
            Self::UpgradeCustom { .. } => UpgradeCommand::UpgradeCustom,
            Self::Result { .. } => UpgradeCommand::UpgradeResult,
            Self::UpdateStatus { .. } => UpgradeCommand::UpgradeUpdateStatus,
            Self::Own(own) => own.command(),
        }
    }

    /// The request as a client of either dialect sends it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (agents, more) = match self {
            Self::Upgrade { agents, params } => (agents, print_upgrade(params)),
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
                if params.check_file {
                    more.push_str(",\"check_file\":true");
                }
                if let Some(ca) = &params.ca {
                    more.push_str(&format!(",\"ca\":{}", json::quote(ca)));
                }
                (agents, more)
            }
            Self::Result { agents } => (agents, String::new()),
            Self::UpdateStatus { agents, ack } => return ack.to_bytes_for(agents),
            Self::Own(own) => return own.to_bytes(),
        };
        format!(
            "{{\"origin\":{{\"module\":\"api\"}},\"command\":\"{}\",\"parameters\":{{{}{more}}}}}",
            self.command(),
            agents::listed(agents)
        )
        .into_bytes()
    }
}

fn authorities(parameters: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let ca = text(parameters, "ca")?;
    if ca.as_ref().is_some_and(|ca| ca.len() > LONGEST_CA) {
        return Err(Refusal::not_recognized(format!(
            "Parameter \"ca\" is longer than {LONGEST_CA} bytes"
        )));
    }
    Ok(ca)
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
        names_file: parameters.contains_key("file_path"),
        package_type: match text(parameters, "package_type")? {
            None => None,
            Some(word) => match word.parse() {
                Ok(kind @ (PackageType::Rpm | PackageType::Deb)) => Some(kind),
                _ => {
                    return Err(Refusal::not_recognized(
                        "Invalid parameter \"package_type\", value should be \"rpm\" or \"deb\"",
                    ));
                }
            },
        },
    })
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
        more.push_str(&format!(",\"package_type\":\"{package_type}\""));
    }
    more.push_str(print_dry_run(params.dry_run));
    more
}

fn print_dry_run(dry_run: bool) -> &'static str {
    if dry_run { ",\"dry_run\":true" } else { "" }
}
