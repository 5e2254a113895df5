//! Puts a listening socket into place, and takes it away at the end.
//!
//! Three things must hold: the file never has wider rights than the settings
//! say, not even for a moment; another daemon that serves the path is never
//! pushed aside; and a file that is no socket is never removed. On Linux a
//! socket's file is created with the rights of the socket itself, so those are
//! narrowed before `bind`; the file is then addressed through its own
//! descriptor, so that nobody who may write in the folder can have us change
//! another file. The folder is locked meanwhile, so that of two daemons that
//! start together one sees the other.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;
use wpk_api::BuildError;

/// Connections that may wait to be accepted. The kernel cuts it to its own
/// limit (`net.core.somaxconn`, 4096 by default).
const BACKLOG: i32 = 4096;

/// A bound socket. Its file is removed when this is dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The listening socket. Kept open until the file is gone: as long as it is
    /// open the file's inode cannot belong to anybody else.
    listener: UnixListener,
    path: PathBuf,
    mode: u32,
    group: Option<u32>,
    /// Device and inode of the file.
    file: (u64, u64),
}

/// Where the file of a bound socket is.
pub(crate) enum Lies {
    /// Where it was put.
    AtItsPath,
    /// Something else lies there.
    BehindAnother,
    /// Nothing lies there, or it cannot be told.
    Nowhere,
}

impl Bound {
    /// Binds `path` with exactly `mode`, and `group` if given.
    ///
    /// # Errors
    /// [`BuildError::Failed`]; the text names the path and says what to do.
    pub(crate) fn new(path: &Path, mode: u32, group: Option<u32>) -> Result<Self, BuildError> {
        let failed = |what: &str, error: Errno| {
            BuildError::Failed(format!("{}: cannot {what}: {error}", path.display()))
        };
        let address = SocketAddrUnix::new(path).map_err(|_| {
            BuildError::Failed(format!(
                "{}: the path of a socket has at most 107 bytes and no NUL; choose a shorter one",
                path.display()
            ))
        })?;
        let _folder = lock_folder(path)?;
        make_room(path, &address)?;

        let socket = stream_socket().map_err(|e| failed("create a socket", e))?;
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode & 0o600))
            .map_err(|e| failed("narrow the rights of the socket", e))?;
        rustix::net::bind(&socket, &address).map_err(|e| {
            failed(
                "bind the socket (does the daemon's user own the folder?)",
                e,
            )
        })?;
        let file = finish(path, mode, group, failed);
        if file.is_err() {
            // Nothing listens yet, so what lies there is of no use to anybody.
            remove(path);
        }
        let file = file?;
        let listener = listen(socket).map_err(|error| {
            remove(path);
            BuildError::Failed(format!("{}: cannot listen: {error}", path.display()))
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            mode,
            group,
            file,
        })
    }

    /// Binds the path once more, with the same rights, after the file was removed.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub(crate) fn again(&self) -> Result<Self, BuildError> {
        Self::new(&self.path, self.mode, self.group)
    }

    /// Where the file is now.
    pub(crate) fn lies(&self) -> Lies {
        match rustix::fs::lstat(&self.path) {
            Ok(stat) if identity(&stat) == self.file => Lies::AtItsPath,
            Ok(_) => Lies::BehindAnother,
            Err(_) => Lies::Nowhere,
        }
    }

    /// The listening socket.
    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Where it is bound.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if matches!(self.lies(), Lies::AtItsPath) {
            remove(&self.path);
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    // The widths of the fields differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn remove(path: &Path) {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove the socket"),
    }
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}

fn listen(socket: OwnedFd) -> std::io::Result<UnixListener> {
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(std::os::unix::net::UnixListener::from(socket))
}

/// Creates the folder of `path` where it is missing and locks it.
fn lock_folder(path: &Path) -> Result<OwnedFd, BuildError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        BuildError::Failed(format!(
            "{}: cannot {what} its folder {}: {error}",
            path.display(),
            folder.display()
        ))
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)
        .map_err(|error| failed("create", &error))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptor =
        rustix::fs::open(folder, flags, Mode::empty()).map_err(|error| failed("open", &error))?;
    match rustix::fs::flock(&descriptor, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(descriptor),
        Err(Errno::WOULDBLOCK) => Err(failed(
            "lock",
            &"another daemon is starting there at this moment; start only one",
        )),
        Err(error) => Err(failed("lock", &error)),
    }
}

/// Makes sure that nothing lies at `path`: a socket nobody answers at is removed.
fn make_room(path: &Path, address: &SocketAddrUnix) -> Result<(), BuildError> {
    let shown = path.display();
    let stat = match rustix::fs::lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => {
            return Err(BuildError::Failed(format!(
                "{shown}: cannot be looked at: {error}"
            )));
        }
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(BuildError::Failed(format!(
            "{shown}: something that is no socket lies there; move it away, or give this source \
             another path"
        )));
    }
    let probe = stream_socket().and_then(|probe| rustix::net::connect(&probe, address));
    match probe {
        Err(Errno::CONNREFUSED) => match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {
                tracing::info!(path = %shown, "replacing a socket that nobody serves");
                Ok(())
            }
            Err(error) => Err(BuildError::Failed(format!(
                "{shown}: a left-over socket lies there and cannot be removed: {error}; remove it"
            ))),
        },
        Err(Errno::NOENT) => Ok(()),
        // A full queue and another type of socket also mean: somebody is there.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(BuildError::Failed(format!(
            "{shown}: another daemon serves this socket; stop it first (another wpkd, or a Wazuh \
             manager's own upgrade module: set <enabled>no</enabled> in <agent-upgrade> of its \
             ossec.conf and restart it), or give this source another path"
        ))),
        Err(error) => Err(BuildError::Failed(format!(
            "{shown}: a socket lies there and it cannot be told whether somebody serves it: \
             {error}; remove it if nobody does"
        ))),
    }
}

/// Gives the new file its group and rights. Returns its device and inode.
fn finish(
    path: &Path,
    mode: u32,
    group: Option<u32>,
    failed: impl Fn(&str, Errno) -> BuildError,
) -> Result<(u64, u64), BuildError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| failed("open the new socket", e))?;
    let stat = rustix::fs::fstat(&file).map_err(|e| failed("look at the new socket", e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(BuildError::Failed(format!(
            "{}: somebody replaced the new socket at once; make its folder writable only for \
             the daemon's user",
            path.display()
        )));
    }
    if let Some(group) = group {
        let group = rustix::fs::Gid::from_raw(group);
        rustix::fs::chownat(file.as_fd(), "", None, Some(group), AtFlags::EMPTY_PATH).map_err(
            |e| {
                failed(
                    "give the socket its group (is the daemon's user a member of it?)",
                    e,
                )
            },
        )?;
    }
    // A descriptor opened with PATH takes no fchmod; its entry in /proc does.
    let entry = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(entry, Mode::from_raw_mode(mode))
        .map_err(|e| failed("set the rights of the socket (is /proc mounted?)", e))?;
    Ok(identity(&stat))
}
