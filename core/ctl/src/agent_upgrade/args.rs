//! The options of `agent_upgrade` (PROTOCOL.md, section 13), for that name and
//! for the hidden `wpkctl agent_upgrade`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use wpk_api::{AgentId, PackageType};
use wpk_wire::{CustomParams, UpgradeParams};

use crate::error::CtlError;
use crate::ids;
use crate::manager::ask::{Ask, as_written};
use crate::options::{Global, LinuxPackage, duration};

/// The name that makes this program that tool.
pub(crate) const NAME: &str = "agent_upgrade";

/// Upgrade agents remotely.
#[derive(Debug, Parser)]
#[command(name = NAME)]
pub(crate) struct Tool {
    #[command(flatten)]
    pub(crate) args: ToolArgs,
    #[command(flatten)]
    pub(crate) global: Global,
}

impl Tool {
    /// Reads the command line; ends the program on nonsense and `--help`.
    pub(crate) fn read() -> Self {
        let matches = Self::documented().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The command as its help shows it: what only `wpkctl` documents is hidden.
    pub(crate) fn documented() -> Command {
        ["socket", "home", "config", "json", "quiet"]
            .into_iter()
            .fold(Self::command(), |command, name| {
                command.mut_arg(name, |arg| arg.hide(true))
            })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ToolArgs {
    /// Agents to upgrade, by id.
    #[arg(short, long, value_name = "ID", num_args = 1.., value_parser = ids::number)]
    pub(crate) agents: Vec<AgentId>,
    /// Repository of the WPK files.
    #[arg(short, long, value_name = "URL")]
    repository: Option<String>,
    /// Version to upgrade to, vX.Y.Z.
    #[arg(short, long, value_name = "V")]
    pub(super) version: Option<String>,
    /// Skip the checks of versions.
    #[arg(short = 'F', long)]
    force: bool,
    /// Print nothing about the upgrade.
    #[arg(short, long)]
    pub(super) silent: bool,
    /// List the agents whose version is not the manager's.
    #[arg(short, long = "list_outdated")]
    pub(super) list_outdated: bool,
    /// Upgrade from this WPK file.
    #[arg(short, long, value_name = "WPK")]
    file: Option<PathBuf>,
    /// Installer inside the WPK file.
    #[arg(short = 'x', long, value_name = "INSTALLER")]
    execute: Option<String>,
    /// Tell on standard error what is asked and answered.
    #[arg(short, long)]
    pub(super) debug: bool,
    /// Speak HTTP with the repository.
    #[arg(long)]
    http: bool,
    /// Type of package of Linux agents.
    #[arg(long = "package_type", value_name = "TYPE")]
    package_type: Option<LinuxPackage>,
    /// How often to ask for results.
    #[arg(long, hide = true, default_value = "3s", value_parser = duration)]
    pub(super) interval: Duration,
}

impl ToolArgs {
    /// What to send: `-f` and `-x` make it an `upgrade_custom`.
    ///
    /// # Errors
    /// [`CtlError::Usage`] if the path of the file is no UTF-8.
    pub(super) fn ask(&self) -> Result<Ask, CtlError> {
        if !self.custom() {
            return Ok(Ask::Release(UpgradeParams {
                wpk_repo: self.repository.clone(),
                version: self.version.clone(),
                use_http: self.http,
                force_upgrade: self.force,
                package_type: self.package_type.map(PackageType::from),
                ..UpgradeParams::default()
            }));
        }
        Ok(Ask::File(CustomParams {
            // A relative path starts at the manager's home, as with the 4.x tool.
            file_path: self.file.as_deref().map(as_written).transpose()?,
            installer: self.execute.clone(),
            ..CustomParams::default()
        }))
    }

    /// The version that agents end with, where it was asked for.
    pub(super) fn target(&self) -> Option<String> {
        let text = self.version.as_ref().filter(|_| !self.custom())?;
        let parsed = text.parse::<wpk_api::Version>();
        Some(parsed.map_or_else(|_| text.clone(), |version| version.to_string()))
    }

    fn custom(&self) -> bool {
        self.file.is_some() || self.execute.is_some()
    }
}
