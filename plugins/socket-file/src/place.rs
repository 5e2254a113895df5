//! A socket's folder, held open, and the three names in it: what lies at them,
//! whether somebody listens there, and the atomic steps between them. All steps go
//! through the folder's descriptor, so that none of them ends in another folder.

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::SocketError;

/// What the name of ours ends in.
const OWN: &str = ".wpk";
/// What the name of the built-in's socket ends in.
const BUILTIN: &str = ".builtin";

/// The name of ours beside `path`: `.NAME.wpk` in the same folder.
pub fn own_path(path: &Path) -> PathBuf {
    beside(path, OWN)
}

/// Where the built-in's socket is while ours is at `path`: `.NAME.builtin` in the
/// same folder.
pub fn builtin_path(path: &Path) -> PathBuf {
    beside(path, BUILTIN)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// A file, whatever its names: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Self {
        // The widths of the fields differ between platforms.
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
        Self(stat.st_dev as u64, stat.st_ino as u64)
    }
}

/// One of the three names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// Where clients come.
    Path,
    /// Ours.
    Own,
    /// The built-in's, pushed aside.
    Builtin,
}

/// What lies at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lies {
    /// Nothing.
    Nothing,
    /// A socket.
    Socket(Identity),
    /// Something else.
    Other,
}

impl Lies {
    pub(crate) fn is(self, file: Identity) -> bool {
        self == Self::Socket(file)
    }
}

/// Whether somebody listens at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// Yes, or a queue that is full would not be.
    Yes,
    /// Nobody: it was left over, or does not listen yet.
    No,
    /// Nothing lies there (any more).
    Gone,
    /// Somebody, with another type of socket.
    OtherType,
    /// It cannot be told.
    Unsure(Errno),
}

/// The folder and the names.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    folder: PathBuf,
    /// Opened for looking and changing, never locked.
    descriptor: OwnedFd,
}

impl Place {
    /// Opens the folder of `path`.
    ///
    /// # Errors
    /// [`SocketError`] if it is not there or cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, SocketError> {
        if SocketAddrUnix::new(path).is_err() || path.file_name().is_none() {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(&folder, flags, Mode::empty())
            .map_err(|error| SocketError::system(path, "open its folder", error))?;
        Ok(Self {
            path: path.to_owned(),
            folder,
            descriptor,
        })
    }

    /// As [`open`](Self::open); a missing folder is made, for owner and group only.
    ///
    /// # Errors
    /// [`SocketError`]
    pub(crate) fn make(path: &Path) -> Result<Self, SocketError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .map_err(|error| SocketError::system(path, "create its folder", error))?;
        Self::open(path)
    }

    /// Locks the folder until the answer is dropped, so that of two programs that
    /// start together one sees the other.
    ///
    /// # Errors
    /// [`SocketError::Busy`] if another one has it.
    pub(crate) fn lock(&self) -> Result<OwnedFd, SocketError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&self.descriptor, ".", flags, Mode::empty())
            .map_err(|error| self.failed("open its folder", error))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(lock),
            Err(Errno::WOULDBLOCK) => Err(SocketError::Busy(self.path.clone())),
            Err(error) => Err(self.failed("lock its folder", error)),
        }
    }

    /// Where clients come.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's path.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a name.
    pub(crate) fn path_of(&self, name: Name) -> PathBuf {
        match name {
            Name::Path => self.path.clone(),
            Name::Own => own_path(&self.path),
            Name::Builtin => builtin_path(&self.path),
        }
    }

    fn entry(&self, name: Name) -> OsString {
        let path = self.path_of(name);
        path.file_name().unwrap_or_default().to_owned()
    }

    /// Whether an entry of the folder is one of the names.
    pub(crate) fn knows(&self, entry: &OsStr) -> bool {
        let names = [Name::Path, Name::Own, Name::Builtin];
        names.iter().any(|name| self.entry(*name) == entry)
    }

    /// The address of a name. Its path may be too long where that of the socket is
    /// not; then it is named through the descriptor.
    fn address(&self, name: Name) -> Result<SocketAddrUnix, Errno> {
        SocketAddrUnix::new(self.path_of(name)).or_else(|_| {
            let folder = format!("/proc/self/fd/{}", self.descriptor.as_raw_fd());
            SocketAddrUnix::new(Path::new(&folder).join(self.entry(name)))
        })
    }

    /// Whether the folder is not any more where it was.
    pub(crate) fn has_moved(&self) -> bool {
        let there = rustix::fs::stat(&self.folder).map(|stat| Identity::of(&stat));
        let ours = rustix::fs::fstat(&self.descriptor).map(|stat| Identity::of(&stat));
        there.is_err() || there != ours
    }

    /// What lies at a name.
    ///
    /// # Errors
    /// [`SocketError::System`] if it cannot be looked at.
    pub(crate) fn lies(&self, name: Name) -> Result<Lies, SocketError> {
        let entry = self.entry(name);
        match rustix::fs::statat(&self.descriptor, entry, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {
                Ok(Lies::Socket(Identity::of(&stat)))
            }
            Ok(_) => Ok(Lies::Other),
            Err(Errno::NOENT) => Ok(Lies::Nothing),
            Err(error) => {
                let path = self.path_of(name);
                Err(SocketError::system(&path, "look at it", error))
            }
        }
    }

    /// Whether somebody listens at a name; tried by connecting, since nothing else
    /// tells. Never waits.
    pub(crate) fn served(&self, name: Name) -> Served {
        let connected = self
            .address(name)
            .and_then(|address| rustix::net::connect(&stream_socket()?, &address));
        match connected {
            // A queue that is full is somebody's.
            Ok(()) | Err(Errno::AGAIN) => Served::Yes,
            Err(Errno::CONNREFUSED) => Served::No,
            Err(Errno::NOENT) => Served::Gone,
            Err(Errno::PROTOTYPE) => Served::OtherType,
            Err(error) => Served::Unsure(error),
        }
    }

    /// Binds a socket at a name.
    ///
    /// # Errors
    /// Those of `bind`.
    pub(crate) fn bind(&self, socket: &OwnedFd, name: Name) -> Result<(), Errno> {
        rustix::net::bind(socket, &self.address(name)?)
    }

    /// A descriptor of what lies at a name, for looking at it and for its rights.
    ///
    /// # Errors
    /// Those of `openat`.
    pub(crate) fn look_into(&self, name: Name) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.descriptor, self.entry(name), flags, Mode::empty())
    }

    /// Gives what lies at `from` a further name, which must be free.
    ///
    /// # Errors
    /// `EEXIST` where it is not, and the others of `linkat`.
    pub(crate) fn link(&self, from: Name, to: Name) -> Result<(), Errno> {
        let (from, to) = (self.entry(from), self.entry(to));
        let folder = &self.descriptor;
        rustix::fs::linkat(folder, from, folder, to, AtFlags::empty())
    }

    /// Exchanges two names in one step; both must be there.
    ///
    /// # Errors
    /// Those of `renameat2`.
    pub(crate) fn exchange(&self, one: Name, other: Name) -> Result<(), Errno> {
        self.rename(one, other, RenameFlags::EXCHANGE)
    }

    /// Moves a name to one that is free.
    ///
    /// # Errors
    /// `EEXIST` where it is not, and the others of `renameat2`.
    pub(crate) fn shift(&self, from: Name, to: Name) -> Result<(), Errno> {
        self.rename(from, to, RenameFlags::NOREPLACE)
    }

    fn rename(&self, from: Name, to: Name, flags: RenameFlags) -> Result<(), Errno> {
        let (from, to) = (self.entry(from), self.entry(to));
        rustix::fs::renameat_with(&self.descriptor, from, &self.descriptor, to, flags)
    }

    /// Removes a name. One that is not there is no error.
    ///
    /// # Errors
    /// [`SocketError::System`]
    pub(crate) fn unlink(&self, name: Name) -> Result<(), SocketError> {
        match rustix::fs::unlinkat(&self.descriptor, self.entry(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                let path = self.path_of(name);
                Err(SocketError::system(&path, "remove the socket", error))
            }
        }
    }

    pub(crate) fn failed(&self, action: &'static str, error: Errno) -> SocketError {
        SocketError::system(&self.path, action, error)
    }
}

/// A new stream socket that blocks nobody.
///
/// # Errors
/// Those of `socket`.
pub(crate) fn stream_socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}
