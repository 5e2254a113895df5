//! The home of the agent that is upgraded: how it is found, and whether this
//! program lies where it ends what another one began.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::InstallError;
use crate::state;

/// Where an agent unpacks packages (PROTOCOL.md, section 7).
pub(crate) const PACKAGE: &str = "var/upgrade";

/// The home as an absolute path without links; it is a folder.
pub(crate) fn find(home: &Path) -> Result<PathBuf, InstallError> {
    let fail = |error| InstallError::path(home, "use as home", error);
    let canonical = home.canonicalize().map_err(fail)?;
    if canonical.is_dir() {
        Ok(canonical)
    } else {
        Err(fail(std::io::ErrorKind::NotADirectory.into()))
    }
}

/// The home of the agent that runs this program: where it was unpacked, else
/// the working directory.
pub(crate) fn of_program() -> Result<PathBuf, InstallError> {
    let fail = |error| InstallError::path(Path::new("."), "find the home from", error);
    let program = env::current_exe().map_err(fail)?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let ours = folder.ends_with(PACKAGE) || folder.ends_with(state::FOLDER);
    match folder.ancestors().nth(2).filter(|_| ours) {
        Some(home) => Ok(home.to_owned()),
        None => env::current_dir().map_err(fail),
    }
}

/// Whether this program was started to finish what another one began.
pub(crate) fn is_finish(home: &Path) -> bool {
    let finish = home.join(state::FOLDER).join(state::FINISH);
    env::current_exe().is_ok_and(|program| program == finish)
}
