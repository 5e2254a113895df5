//! Giving up root: once, before the async runtime and before any file of the
//! installation is opened.

use std::ffi::CString;

use nix::unistd::{User, initgroups, setgid, setuid};

/// Becomes `name` with its primary and other groups.
///
/// # Errors
/// A text that says what to do: no such user, or not started as root.
pub(crate) fn become_user(name: &str) -> Result<(), String> {
    let user = User::from_name(name)
        .map_err(|error| format!("cannot be looked up: {error}"))?
        .ok_or("there is no such user; create it, or start wpkd as the user it is to run as")?;
    if nix::unistd::geteuid() == user.uid && nix::unistd::getegid() == user.gid {
        return Ok(());
    }
    let failed = |error| format!("cannot become that user: {error}; start wpkd as root");
    let c_name = CString::new(name).map_err(|_| "is no user name".to_owned())?;
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)?;
    // The way back must be closed.
    if user.uid.is_root() || setuid(nix::unistd::Uid::from_raw(0)).is_err() {
        Ok(())
    } else {
        Err("root could be regained; refusing to run".to_owned())
    }
}
