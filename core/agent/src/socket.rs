//! Puts the listening socket into place, and takes it away at the end.
//!
//! The file never has wider rights than 0660, not even for a moment; a socket
//! that somebody serves is not pushed aside; a file that is no socket is never
//! removed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, chownat, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

const MODE: u32 = 0o660;
const BACKLOG: i32 = 128;
const GROUPS: &str = "/etc/group";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system refused something.
    #[error("{path}: cannot {action}: {source}")]
    System {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody serves it.
    #[error(
        "{0}: another program serves this socket: stop it, or switch off the upgrade module of the \
         agent daemon (<agent-upgrade><enabled>no</enabled>)"
    )]
    Served(PathBuf),
    /// Something else is there.
    #[error("{0}: something that is no socket lies there: move it away")]
    NoSocket(PathBuf),
    /// There is no such group.
    #[error("{0}")]
    Group(String),
}

/// A bound socket. Its file goes when this is dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: UnixListener,
    path: PathBuf,
    file: (u64, u64),
}

impl Bound {
    pub(crate) fn new(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let fail = |action: &'static str, source: io::Error| SocketError::System {
            path: path.to_owned(),
            action,
            source,
        };
        let group = group
            .map(group_id)
            .transpose()
            .map_err(SocketError::Group)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .map_err(|e| fail("create its folder", e))?;
        make_room(path)?;
        let address = SocketAddrUnix::new(path).map_err(|e| fail("use the path", e.into()))?;
        let socket = stream_socket().map_err(|e| fail("create the socket", e))?;
        // On Linux the file gets the rights of the socket: narrow ones until they are set below.
        fchmod(&socket, Mode::from_raw_mode(MODE & 0o600))
            .map_err(|e| fail("narrow the rights", e.into()))?;
        rustix::net::bind(&socket, &address).map_err(|e| fail("bind", e.into()))?;
        let finished = finish(path, group)
            .and_then(|file| {
                rustix::net::listen(&socket, BACKLOG)?;
                let listener = std::os::unix::net::UnixListener::from(socket);
                Ok((UnixListener::from_std(listener)?, file))
            })
            .map_err(|e| {
                fail(
                    "set up the socket (does the agent's user belong to the group?)",
                    e,
                )
            });
        match finished {
            Ok((listener, file)) => Ok(Self {
                listener,
                path: path.to_owned(),
                file,
            }),
            Err(error) => {
                // Nobody serves what lies there now.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.file);
        if ours {
            // At the next start a left-over is replaced.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// Removes a socket nobody answers at.
fn make_room(path: &Path) -> Result<(), SocketError> {
    let fail = |action, source| SocketError::System {
        path: path.to_owned(),
        action,
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail("look at it", error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|e| fail("remove the left-over socket", e))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(fail("tell whether somebody serves it", error))
        }
        _ => Err(SocketError::Served(path.to_owned())),
    }
}

/// Group and rights of the new file, through a descriptor of it, so that nobody
/// who may write in the folder has us change another file.
fn finish(path: &Path, group: Option<u32>) -> io::Result<(u64, u64)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let file = fs::File::from(file);
    let meta = file.metadata()?;
    if !meta.file_type().is_socket() {
        return Err(io::Error::other("somebody replaced the new socket at once"));
    }
    if let Some(group) = group {
        chownat(
            &file,
            "",
            None,
            Some(Gid::from_raw(group)),
            AtFlags::EMPTY_PATH,
        )?;
    }
    let entry = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(entry, Mode::from_raw_mode(MODE))?;
    Ok((meta.dev(), meta.ino()))
}

/// The number of a group: a number, or a name of `/etc/group`.
pub(crate) fn group_id(group: &str) -> Result<u32, String> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string(GROUPS)
        .map_err(|error| format!("{GROUPS}: {error}; give the group as a number"))?;
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
        })
        .next()
        .ok_or_else(|| {
            format!("the group {group:?} is not in {GROUPS}: create it, or give a number")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn it_is_0660_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue/sockets/upgrade");
        let bound = Bound::new(&path, None).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o660
        );
        assert!(matches!(
            Bound::new(&path, None),
            Err(SocketError::Served(_))
        ));
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn only_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade");
        fs::write(&path, "a file").unwrap();
        assert!(matches!(
            Bound::new(&path, None),
            Err(SocketError::NoSocket(_))
        ));
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Bound::new(&path, None).unwrap();
    }

    #[test]
    fn groups_are_found() {
        assert_eq!(group_id("17"), Ok(17));
        assert_eq!(group_id("root"), Ok(0));
        assert!(
            group_id("no such group")
                .unwrap_err()
                .contains("no such group")
        );
    }
}
