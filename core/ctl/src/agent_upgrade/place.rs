//! Where the manager is that `agent_upgrade` talks to: that tool has no option
//! for it, but lies in its manager's home.

use std::path::{Path, PathBuf};

use wpk_api::paths;

use crate::error::CtlError;
use crate::manager::socket;
use crate::options::Global;

/// Where a 4.x manager is installed if nothing else is said.
const USUAL_HOME: &str = "/var/ossec";

/// The path of the upgrade socket: as the hidden options say; else in the home
/// whose `bin` the tool was called from; else in `/var/ossec`; else that of the
/// embedded manager.
///
/// # Errors
/// [`CtlError::Settings`].
pub(super) fn socket(global: &Global) -> Result<PathBuf, CtlError> {
    if global.socket.is_some() || global.home.is_some() || global.config.is_some() {
        return socket::path(global);
    }
    let called = std::env::args_os().next().map(PathBuf::from);
    let home = called
        .as_deref()
        .and_then(home_of)
        .filter(|home| home.join("queue").is_dir())
        .or_else(|| Some(PathBuf::from(USUAL_HOME)).filter(|home| home.is_dir()));
    match home {
        Some(home) => Ok(home.join(paths::UPGRADE_SOCKET)),
        None => socket::path(global),
    }
}

/// `HOME` of `HOME/bin/agent_upgrade`. The name itself is not followed where it
/// is a link: it leads out of the home.
fn home_of(called: &Path) -> Option<PathBuf> {
    let folder = called.parent().filter(|f| !f.as_os_str().is_empty())?;
    // Through the file system, since `./agent_upgrade` and `../bin/..` are fine too.
    let bin = folder.canonicalize().ok()?;
    bin.parent().map(Path::to_owned)
}
