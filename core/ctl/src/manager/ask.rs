//! What is asked for in an upgrade, whichever command line it came from.

use std::path::Path;

use wpk_api::AgentId;
use wpk_wire::{CustomParams, UpgradeCommand, UpgradeParams, UpgradeRequest};

use crate::error::CtlError;

/// What every request of this call asks for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// From a repository.
    Release(UpgradeParams),
    /// From a file of the manager.
    File(CustomParams),
}

impl Ask {
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
    as_written(&path)
}

/// The path of a file, which the manager takes as seen from its home.
///
/// # Errors
/// [`CtlError::Usage`] if it is no UTF-8.
pub(crate) fn as_written(file: &Path) -> Result<String, CtlError> {
    let text = file.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        CtlError::Usage(format!(
            "{} is no UTF-8 and cannot be sent to the manager; rename the file",
            file.display()
        ))
    })
}
