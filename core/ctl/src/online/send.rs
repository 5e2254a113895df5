//! Asks for the upgrade: one request for up to 50,000 agents, more of them one
//! after the other, and what the manager answered for each agent.

use std::path::Path;

use wpk_api::{AgentId, PackageType};
use wpk_wire::{CustomParams, UpgradeCommand, UpgradeParams, UpgradeRequest};

use super::client::{Client, accepted};
use crate::cli::UpgradeArgs;
use crate::error::CtlError;
use crate::watch::board::Board;

/// Agents per request: half a MiB, far below the manager's limit of a frame.
pub(crate) const CHUNK: usize = 50_000;

/// What every request of this call asks for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// From a repository.
    Release(UpgradeParams),
    /// From a file of the manager.
    File(CustomParams),
}

impl Ask {
    /// Reads it from the command line.
    ///
    /// # Errors
    /// [`CtlError::Usage`] if the path of the file is no UTF-8.
    pub(crate) fn new(args: &UpgradeArgs) -> Result<Self, CtlError> {
        let Some(file) = &args.file else {
            return Ok(Self::Release(UpgradeParams {
                wpk_repo: args.repository.clone(),
                version: args.version.clone(),
                use_http: args.http,
                force_upgrade: args.force,
                package_type: args.package_type.map(PackageType::from),
                dry_run: args.dry_run,
            }));
        };
        Ok(Self::File(CustomParams {
            file_path: Some(absolute(file)?),
            installer: args.installer.clone(),
            dry_run: args.dry_run,
        }))
    }

    /// The request for some agents.
    pub(crate) fn request(&self, agents: &[AgentId]) -> UpgradeRequest {
        let agents = agents.iter().copied().map(Into::into).collect();
        match self.clone() {
            Self::Release(params) => UpgradeRequest::Upgrade { agents, params },
            Self::File(params) => UpgradeRequest::UpgradeCustom { agents, params },
        }
    }

    /// The command on the wire.
    pub(crate) fn command(&self) -> UpgradeCommand {
        match self {
            Self::Release(_) => UpgradeCommand::Upgrade,
            Self::File(_) => UpgradeCommand::UpgradeCustom,
        }
    }
}

/// The path of a file as the manager can open it: its working directory is
/// another one.
///
/// # Errors
/// [`CtlError::Usage`] if it is no UTF-8.
pub(crate) fn absolute(file: &Path) -> Result<String, CtlError> {
    let path = std::path::absolute(file).map_err(|error| CtlError::file("find", file, error))?;
    path.into_os_string().into_string().map_err(|path| {
        CtlError::Usage(format!(
            "{} is no UTF-8 and cannot be sent to the manager; rename the file",
            path.display()
        ))
    })
}

/// Sends the requests and enters each answer into the board.
///
/// # Errors
/// If the first request gets no answer or is refused as a whole. If a later
/// one does, its agents are entered as refused: the tasks of those before exist
/// and are to be told of.
pub(crate) async fn send(
    client: &mut Client,
    ask: &Ask,
    agents: &[AgentId],
    board: &mut Board,
) -> Result<(), CtlError> {
    for (index, chunk) in agents.chunks(CHUNK).enumerate() {
        let answer = client.send(&ask.request(chunk)).await;
        match answer.and_then(|response| accepted(ask.command(), response)) {
            Ok(items) => items.into_iter().for_each(|item| board.answered(item)),
            Err(error) if index == 0 => return Err(error),
            Err(error) => {
                for agent in agents.iter().skip(index * CHUNK) {
                    board.refused(*agent, None, error.to_string());
                }
                return Ok(());
            }
        }
    }
    Ok(())
}
