//! Making files below one folder and nowhere else. Every step goes from an
//! open folder to the next and never through a link, so that nobody who
//! changes the tree meanwhile can lead us out of it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, fchmod, mkdirat, open, openat};
use rustix::io::Errno;

use crate::file::FileError;

/// An open folder below which files are made.
pub(crate) struct Folder {
    root: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens an existing folder.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let root =
            open(path, FOLDER, Mode::empty()).map_err(|e| FileError::new("open", path, e))?;
        Ok(Self {
            root,
            path: path.to_owned(),
        })
    }

    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Makes a new file and the folders above it. `name` consists of plain
    /// components. The modes hold whatever the umask is.
    pub(crate) fn create(&self, name: &Path, file: u32, folder: u32) -> Result<File, FileError> {
        let at = |name: &Path| self.path.join(name);
        let mut current: Option<OwnedFd> = None;
        let mut walked = PathBuf::new();
        let mut components = name.components().peekable();
        while let Some(component) = components.next() {
            let Component::Normal(part) = component else {
                let reason = std::io::Error::other("the name is no plain relative path");
                return Err(FileError::new("create", &at(name), reason));
            };
            walked.push(part);
            let parent = current.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            if components.peek().is_none() {
                let flags = OFlags::WRONLY
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                return openat(parent, part, flags, Mode::from_raw_mode(file & 0o700))
                    .and_then(|fd| fchmod(&fd, Mode::from_raw_mode(file)).map(|()| fd))
                    .map(File::from)
                    .map_err(|e| FileError::new("create", &at(name), e));
            }
            let made = match mkdirat(parent, part, Mode::from_raw_mode(0o700)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(e) => return Err(FileError::new("create", &at(&walked), e)),
            };
            let next = openat(parent, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|e| FileError::new("enter", &at(&walked), e))?;
            if made {
                fchmod(&next, Mode::from_raw_mode(folder))
                    .map_err(|e| FileError::new("set the mode of", &at(&walked), e))?;
            }
            current = Some(next);
        }
        Err(FileError::new(
            "create",
            &at(name),
            std::io::Error::other("the name is empty"),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn links_on_the_way_and_at_the_end_are_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), inside.path().join("way")).unwrap();
        symlink(outside.path().join("new"), inside.path().join("end")).unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        assert!(folder.create(Path::new("way/file"), 0o640, 0o750).is_err());
        assert!(folder.create(Path::new("end"), 0o640, 0o750).is_err());
        assert!(folder.create(Path::new("../file"), 0o640, 0o750).is_err());
        assert!(folder.create(Path::new("/tmp/file"), 0o640, 0o750).is_err());
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn modes_are_exact_and_nothing_is_replaced() {
        let inside = tempfile::tempdir().unwrap();
        let folder = Folder::open(inside.path()).unwrap();
        folder.create(Path::new("a/b/file"), 0o640, 0o750).unwrap();
        let mode = |name: &str| {
            inside
                .path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o7777
        };
        assert_eq!(
            (mode("a"), mode("a/b"), mode("a/b/file")),
            (0o750, 0o750, 0o640)
        );
        assert!(folder.create(Path::new("a/b/file"), 0o640, 0o750).is_err());
    }
}
