//! Files: opened without following links, held, locked, and who may write them.

mod locks;
mod way;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statvfs, unlinkat};
use rustix::io::Errno;

pub(crate) use locks::{holder, lock};
pub(crate) use way::{Held, walk};

/// Rights of others than the owner to write.
const FOREIGN: u32 = 0o022;
/// Those of everybody.
const EVERYBODY: u32 = 0o002;
/// A folder in which everybody may only touch what is his own.
const STICKY: u32 = 0o1000;

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    /// The user whose it is.
    pub(crate) owner: u32,
    /// Its rights, as `chmod` has them.
    pub(crate) mode: u32,
    /// It, and nothing else, whatever its name.
    pub(crate) identity: (u64, u64),
    /// How many names it has.
    pub(crate) names: u64,
    pub(crate) is_link: bool,
    pub(crate) is_folder: bool,
}

impl From<&Metadata> for About {
    fn from(about: &Metadata) -> Self {
        Self {
            owner: about.uid(),
            mode: about.mode() & 0o7777,
            identity: (about.dev(), about.ino()),
            names: about.nlink(),
            is_link: about.is_symlink(),
            is_folder: about.is_dir(),
        }
    }
}

impl About {
    /// Whether it is this user's, or root's, who may do anything anyhow.
    pub(crate) fn is_trusted(&self) -> bool {
        self.owner == user() || self.owner == 0
    }

    /// Whether others may write it, or what is in it. A link's rights mean nothing.
    pub(crate) fn is_wide(&self) -> bool {
        let sticky = self.is_folder && self.mode & STICKY != 0;
        !self.is_link && !sticky && self.mode & FOREIGN != 0
    }

    /// Whether everybody may.
    pub(crate) fn is_for_everybody(&self) -> bool {
        self.is_wide() && self.mode & EVERYBODY != 0
    }

    /// The rights without those of others to write; `group`: the group keeps its.
    pub(crate) fn narrowed(&self, group: bool) -> u32 {
        self.mode & !(if group { EVERYBODY } else { FOREIGN })
    }
}

/// The user as whom this process works.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Of what is at the path; of a link of the link itself.
///
/// # Errors
/// Those of the system.
pub(crate) fn about(path: &Path) -> io::Result<About> {
    fs::symlink_metadata(path).map(|about| About::from(&about))
}

/// Of an open file.
///
/// # Errors
/// Those of the system.
pub(crate) fn about_open(file: &File) -> io::Result<About> {
    file.metadata().map(|about| About::from(&about))
}

/// How to open a file that is not reached through a link, and at which nothing waits
/// (the open of a pipe would). One that is made gets `mode`.
pub(crate) fn unlinked(mode: u32) -> OpenOptions {
    with(mode, OFlags::NOFOLLOW | OFlags::NONBLOCK)
}

/// As [`unlinked`], but through links.
pub(crate) fn unblocked(mode: u32) -> OpenOptions {
    with(mode, OFlags::NONBLOCK)
}

fn with(mode: u32, flags: OFlags) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(mode).custom_flags(flags.bits().cast_signed());
    options
}

/// Opens a folder, never through a link in its place.
///
/// # Errors
/// Those of the system.
pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    in_folder_at(CWD, path, flags, 0)
}

/// Opens a file for reading by its name in a folder, never through a link.
///
/// # Errors
/// Those of the system.
pub(crate) fn read_in(folder: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    in_folder_at(folder, Path::new(name), flags, 0)
}

/// Opens a regular file for writing by its name in a folder, empty, with this mode; made
/// where there is none. Never through a link, and a file that has another name as well
/// loses this one: that elsewhere must not be changed.
///
/// # Errors
/// Those of the system.
pub(crate) fn write_in(folder: &File, name: &str, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let path = Path::new(name);
    // Not blocking: the open of a pipe would wait for a reader for ever.
    let opened = in_folder_at(folder, path, flags | OFlags::NONBLOCK, mode);
    let mut file =
        opened.map_err(
            |error| match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::LOOP) => io::Error::other("the path is a symbolic link"),
                _ => error,
            },
        )?;
    if !file.metadata()?.is_file() {
        return Err(Errno::NXIO.into());
    }
    if about_open(&file)?.names > 1 {
        remove_in(folder, name)?;
        file = in_folder_at(folder, path, flags | OFlags::EXCL, mode)?;
    }
    file.set_len(0)?;
    set_mode(&file, mode)?;
    Ok(file)
}

fn in_folder_at(
    folder: impl std::os::fd::AsFd,
    path: &Path,
    flags: OFlags,
    mode: u32,
) -> io::Result<File> {
    let opened: OwnedFd = openat(folder, path, flags, Mode::from_raw_mode(mode))?;
    Ok(File::from(opened))
}

/// Removes a file, or a link itself, by its name in a folder.
///
/// # Errors
/// Those of the system.
pub(crate) fn remove_in(folder: &File, name: &str) -> io::Result<()> {
    unlinkat(folder, name, AtFlags::empty()).map_err(Into::into)
}

/// Removes what another user put at a path where only this one has to put anything; a
/// folder of his cannot be removed.
///
/// # Errors
/// Those of the system.
pub(crate) fn remove_anothers(path: &Path) -> io::Result<()> {
    match about(path) {
        Ok(about) if !about.is_trusted() => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// A path that leads to an open folder wherever it is.
pub(crate) fn path_of(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Makes a folder, and those above it that are missing, with this mode.
///
/// # Errors
/// Those of the system.
pub(crate) fn make_folders(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Changes the rights of an open file.
///
/// # Errors
/// Those of the system.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Makes an open file this user's. Only root may.
///
/// # Errors
/// Those of the system.
pub(crate) fn take(file: &File) -> io::Result<()> {
    if user() == 0 {
        fchown(file, Some(0), None)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Makes an open file that of the user and group whose `as_of` is, where root asks;
/// others only make files of their own.
///
/// # Errors
/// Those of the system.
pub(crate) fn give_as(file: &File, as_of: &Path) -> io::Result<()> {
    let (whose, ours) = (fs::metadata(as_of)?, file.metadata()?);
    if (whose.uid(), whose.gid()) != (ours.uid(), ours.gid()) && ours.uid() == 0 {
        fchown(file, Some(whose.uid()), Some(whose.gid()))?;
    }
    Ok(())
}

/// The rights of what is at the path, through links, as `chmod` has them.
///
/// # Errors
/// Those of the system.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    fs::metadata(path).map(|about| about.mode() & 0o7777)
}

/// Makes a folder with this mode.
///
/// # Errors
/// Those of the system.
pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)
}

/// Bytes that may still be written in the file system of this path.
///
/// # Errors
/// Those of the system.
pub(crate) fn room(path: &Path) -> io::Result<u64> {
    let about = statvfs(path)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Whether an open file has no name any more.
pub(crate) fn is_gone(file: &File) -> bool {
    about_open(file).is_ok_and(|about| about.names == 0)
}

/// Whether somebody holds a lock on the file, shared or not.
///
/// # Errors
/// Those of opening and of locking.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    let file = unlinked(0).read(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a named pipe.
#[cfg(test)]
pub(crate) fn make_pipe(path: &Path) {
    rustix::fs::mkfifoat(CWD, path, Mode::RUSR).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_others_are_seen_unless_sticky() {
        let about = |mode, is_folder| About {
            owner: user(),
            mode,
            identity: (0, 0),
            names: 1,
            is_link: false,
            is_folder,
        };
        assert!(about(0o664, false).is_wide() && !about(0o664, false).is_for_everybody());
        assert!(about(0o777, true).is_for_everybody());
        assert!(!about(0o1777, true).is_wide());
        assert!(about(0o1777, false).is_wide(), "of a file it says nothing");
        assert_eq!(about(0o777, true).narrowed(true), 0o775);
        assert_eq!(about(0o777, true).narrowed(false), 0o755);
    }
}
