//! Where a file is: a root that the author allowed, and a path inside it. Every
//! access walks from the root, folder by folder, and never through a link, so
//! that nobody who may write in the home leads an installer out of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fsync, openat, statat};
use rustix::io::Errno;

use crate::error::InstallError;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A file below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Absolute, without links.
    pub(crate) root: PathBuf,
    /// Plain names only, at least one.
    pub(crate) inside: PathBuf,
}

impl Place {
    /// Takes both apart as they come from an author or a journal.
    pub(crate) fn new(root: &Path, inside: &Path) -> Result<Self, InstallError> {
        check(inside)?;
        let refuse = |reason| InstallError::Refused {
            path: root.to_owned(),
            reason,
        };
        if !root.is_absolute() {
            return Err(refuse("a root must be absolute"));
        }
        if !root.to_str().is_some_and(plain) {
            return Err(refuse("it is no UTF-8, or holds control characters"));
        }
        Ok(Self {
            root: root.to_owned(),
            inside: inside.to_owned(),
        })
    }

    /// The whole path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(&self.inside)
    }

    /// The folders between root and file, outermost first.
    pub(crate) fn folders(&self) -> Vec<Place> {
        let mut folders: Vec<_> = self
            .inside
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| Place {
                root: self.root.clone(),
                inside: folder.to_owned(),
            })
            .collect();
        folders.reverse();
        folders
    }

    /// Opens the folder the file is in.
    pub(crate) fn beside(&self) -> io::Result<Beside> {
        let name = self.inside.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(Errno::INVAL)?.to_owned();
        let folder = self.inside.parent().unwrap_or(Path::new(""));
        Ok(Beside {
            folder: walk(&self.root, folder)?,
            name,
        })
    }

    /// Opens the file for reading; nothing but a plain file.
    pub(crate) fn open(&self) -> io::Result<File> {
        let beside = self.beside()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&beside.folder, &beside.name, flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("it is no plain file"))
        }
    }
}

/// An open folder and the name of a file in it.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) folder: OwnedFd,
    pub(crate) name: String,
}

impl Beside {
    /// What is there under this name, links not followed; `None` for nothing.
    pub(crate) fn look(&self, name: &str) -> io::Result<Option<Stat>> {
        match statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes what happened in the folder last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.folder)?)
    }
}

/// Opens a folder below `root` without following any link below it.
pub(crate) fn walk(root: &Path, folder: &Path) -> io::Result<OwnedFd> {
    let mut open = openat(CWD, root, FOLDER, Mode::empty())?;
    for name in folder {
        open = openat(&open, name, FOLDER, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => io::Error::other(format!(
                "{name:?} on the way to it is a link or no folder; targets are not reached through links"
            )),
            other => other.into(),
        })?;
    }
    Ok(open)
}

/// Whether that is a plain file.
pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
}

/// No control characters: a journal is lines of fields.
pub(crate) fn plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// A relative path of plain names.
pub(crate) fn check(inside: &Path) -> Result<(), InstallError> {
    let refuse = |reason| {
        Err(InstallError::Refused {
            path: inside.to_owned(),
            reason,
        })
    };
    match inside.to_str() {
        Some("") => return refuse("it is empty"),
        Some(text) if plain(text) => {}
        _ => return refuse("it is no UTF-8, or holds control characters"),
    }
    if inside.is_absolute() {
        return refuse(
            "it lies outside the home: name its folder with allow_outside, or make it relative",
        );
    }
    if !inside
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return refuse("it must not hold . or ..");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_lead_inside() {
        for good in ["bin/sensor", "a", "..a/b.", "a b/c\u{e9}"] {
            check(Path::new(good)).unwrap();
        }
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "../a",
            "./a",
            "a\tb",
            "a\nb",
            "a\0b",
        ] {
            assert!(check(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn folders_come_from_the_outside() {
        let place = Place::new(Path::new("/home"), Path::new("a/b/c")).unwrap();
        let folders: Vec<_> = place.folders().into_iter().map(|f| f.inside).collect();
        assert_eq!(folders, [Path::new("a"), Path::new("a/b")]);
    }

    #[test]
    fn no_link_is_followed_on_the_way() {
        let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("f"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), home.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("f"), home.path().join("f")).unwrap();
        let place = |inside: &str| Place::new(home.path(), Path::new(inside)).unwrap();
        assert!(place("link/f").beside().is_err());
        assert!(place("f").open().is_err());
        assert!(place("f").beside().is_ok());
    }
}
