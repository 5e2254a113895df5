//! Where the manager's upgrade socket is: as given, or as the manager's own
//! settings say.

use std::path::PathBuf;

use serde_json::Value;
use wpk_config::{Settings, Sources, load};

use crate::error::CtlError;
use crate::options::Global;

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
    upgrade_socket(&settings).ok_or_else(|| {
        CtlError::Settings("there is no [[source]] of the type \"unix-socket\"".to_owned())
    })
}

/// The path of the upgrade socket in the manager's settings; `None` if they have
/// no `unix-socket` source.
pub(crate) fn upgrade_socket(settings: &Settings) -> Option<PathBuf> {
    let usual = || settings.path(wpk_api::paths::UPGRADE_SOCKET);
    if settings.sources.is_empty() {
        return Some(usual());
    }
    let mut sources = settings.sources.iter();
    // Without a type it is the usual one.
    let source = sources.find(|source| matches!(&*source.kind, "unix-socket" | ""))?;
    let path = source.settings.get("upgrade").and_then(Value::as_str);
    Some(path.map_or_else(usual, |path| settings.path(path)))
}
