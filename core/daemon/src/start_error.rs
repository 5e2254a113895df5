//! Why the daemon does not start with settings that were read. The registry says so, and
//! `main` chooses the exit status by it.

use wpk_api::{BuildError, PluginKind};

/// Why the parts of an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// A section that nobody wrote and that has no default.
    #[error("[{0}] is missing, and nothing stands for it; write one")]
    NoSection(PluginKind),
    /// A `type` nobody answers to.
    #[error("{kind}.type: {type_name:?} is unknown")]
    UnknownType { kind: PluginKind, type_name: String },
    /// A plugin could not be made.
    #[error("{kind} {type_name:?}: {cause}")]
    Build {
        kind: PluginKind,
        type_name: String,
        cause: BuildError,
    },
}

impl StartError {
    /// It is the settings that are wrong, and not the world.
    pub(crate) fn is_of_settings(&self) -> bool {
        match self {
            Self::NoSection(_) | Self::UnknownType { .. } => true,
            Self::Build { cause, .. } => matches!(cause, BuildError::Settings(_)),
        }
    }
}
