//! Where the manager's upgrade socket is: as given, or as the manager's own
//! settings say.

use std::path::PathBuf;

use wpk_runtime::config::{Sources, load};

use crate::cli::Global;
use crate::error::CtlError;

/// Where the manager's settings are.
///
/// # Errors
/// [`CtlError::File`] if the home is no path that can be made absolute.
pub(crate) fn sources(global: &Global) -> Result<Sources, CtlError> {
    let absolute = |home: &PathBuf| {
        std::path::absolute(home).map_err(|error| CtlError::file("find the folder", home, error))
    };
    Ok(Sources {
        file: global.config.clone(),
        home: global.home.as_ref().map(absolute).transpose()?,
    })
}

/// The path of the upgrade socket.
///
/// # Errors
/// [`CtlError::Settings`] if it is not given and the settings cannot be read or
/// name none.
pub(crate) fn path(global: &Global) -> Result<PathBuf, CtlError> {
    if let Some(socket) = &global.socket {
        return Ok(socket.clone());
    }
    let settings =
        load(&sources(global)?, None).map_err(|found| CtlError::Settings(found.to_string()))?;
    settings.upgrade_socket().ok_or_else(|| {
        CtlError::Settings("there is no [[source]] of the type \"unix-socket\"".to_owned())
    })
}
