//! Binds ours under its own name and lets it listen, before it is anywhere else.
//!
//! The file never has wider rights than the settings say, not even for a moment.
//! On Linux a socket's file is created with the rights of the socket itself, so
//! those are narrowed before `bind`; the file is then addressed through its own
//! descriptor, so that nobody who may write in the folder can have us change
//! another file.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::fs::{AtFlags, FileType, Gid, Mode};
use rustix::io::Errno;

use crate::error::SocketError;
use crate::place::{Identity, Name, Place, stream_socket};

/// Connections that may wait to be accepted. The kernel cuts it to its own
/// limit (`net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;

/// A socket that listens at [`Name::Own`], which must be free, with exactly `mode`, and
/// `group` if given.
///
/// # Errors
/// [`SocketError`]
pub(crate) fn bind_own(
    place: &Place,
    mode: u32,
    group: Option<u32>,
) -> Result<(UnixListener, Identity), SocketError> {
    let failed = |action, error| SocketError::system(place.path(), action, error);
    let socket = stream_socket().map_err(|error| failed("create a socket", error))?;
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode & 0o600))
        .map_err(|error| failed("narrow the rights of the socket", error))?;
    place
        .bind(&socket, Name::Own)
        .map_err(|error| match error {
            Errno::NAMETOOLONG => SocketError::TooLong(place.path_of(Name::Own)),
            error => {
                let action = "bind the socket (does the daemon's user own the folder?)";
                failed(action, error)
            }
        })?;
    finish(place, socket, mode, group).inspect_err(|_| {
        // Nobody serves it.
        let _ = place.unlink(Name::Own);
    })
}

/// Gives the new file its group and rights, and listens.
fn finish(
    place: &Place,
    socket: OwnedFd,
    mode: u32,
    group: Option<u32>,
) -> Result<(UnixListener, Identity), SocketError> {
    let failed = |action, error: Errno| SocketError::system(place.path(), action, error);
    let file = place
        .look_into(Name::Own)
        .map_err(|error| failed("open the new socket", error))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed("look at the new socket", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        let replaced = std::io::Error::other(
            "somebody replaced it at once; make its folder writable only for the daemon's user",
        );
        return Err(SocketError::system(
            place.path(),
            "use the new socket",
            replaced,
        ));
    }
    if let Some(group) = group {
        let group = Some(Gid::from_raw(group));
        rustix::fs::chownat(file.as_fd(), "", None, group, AtFlags::EMPTY_PATH).map_err(
            |error| {
                let action = "give the socket its group (is the daemon's user a member of it?)";
                failed(action, error)
            },
        )?;
    }
    // A descriptor opened with PATH takes no fchmod; its entry in /proc does.
    let entry = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(entry, Mode::from_raw_mode(mode))
        .map_err(|error| failed("set the rights of the socket (is /proc mounted?)", error))?;
    rustix::net::listen(&socket, BACKLOG).map_err(|error| failed("listen", error))?;
    Ok((UnixListener::from(socket), Identity::of(&stat)))
}
