//! Why the registry could not be written.

use wpk_api::DirectoryError;

use crate::database::DatabaseError;
use crate::shared::SharedError;

/// The file or the store that several managers share cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error(transparent)]
    File(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] SharedError),
}

/// What whoever asked is told.
pub(crate) fn unavailable(error: impl Into<RegistryError>) -> DirectoryError {
    match error.into() {
        RegistryError::File(error) => DirectoryError::Unavailable(format!(
            "the registry of agents cannot be written: {error}"
        )),
        RegistryError::Store(error) => DirectoryError::Unavailable(format!(
            "the agents in the task store cannot be read or written: {error}"
        )),
    }
}
