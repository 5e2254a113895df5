//! Who may write where the agent trusts what it reads: a member of a group, or anybody,
//! who can change settings, the CA store, the agent's own program or `var/upgrade` can
//! run what he likes as the agent's user. What is too wide is narrowed, and said; what
//! belongs to somebody else is refused. `home`, `upgrade` and the start enter.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat, fchmod, fchown, fstat, open, stat};
use rustix::process::{Uid, geteuid};

/// Rights of others to write.
const FOREIGN: u32 = 0o022;
/// A folder in which everybody may only touch what is his own.
const STICKY: u32 = 0o1000;

/// A folder that belongs to the agent alone, held open: whatever is put in its place
/// meanwhile, this one is worked in.
#[derive(Debug)]
pub(crate) struct Own {
    folder: OwnedFd,
    path: PathBuf,
}

impl Own {
    /// Opens the folder, never through a link, and makes it the agent's alone (0700)
    /// where it is not.
    ///
    /// # Errors
    /// Another's folder, which is refused, and those of the system.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty())?;
        let about = fstat(&folder)?;
        if about.st_uid != geteuid().as_raw() {
            give_to_us(&folder).map_err(|_| another(path, &about))?;
            tracing::warn!(
                "{} belonged to user {}; it is the agent's now",
                path.display(),
                about.st_uid
            );
        }
        if about.st_mode & 0o7777 != 0o700 {
            fchmod(&folder, Mode::RWXU)?;
            tracing::info!(
                "{} had mode {:o}; it is the agent's alone now, 0700",
                path.display(),
                about.st_mode & 0o7777
            );
        }
        Ok(Self {
            folder,
            path: path.to_owned(),
        })
    }

    /// A path that leads into the folder wherever it is.
    pub(crate) fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_fd().as_raw_fd()))
    }

    /// Whether it is still what is at its path: from there the installer is run.
    pub(crate) fn is_in_place(&self) -> bool {
        let same = |a: &Stat, b: &Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        match (fstat(&self.folder), stat(&self.path)) {
            (Ok(held), Ok(there)) => same(&held, &there),
            _ => false,
        }
    }
}

/// Only root may.
fn give_to_us(folder: &OwnedFd) -> io::Result<()> {
    if !geteuid().is_root() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    fchown(folder, Some(Uid::ROOT), None).map_err(Into::into)
}

fn another(path: &Path, about: &Stat) -> io::Error {
    io::Error::other(format!(
        "{} belongs to user {}, who could have the agent run anything: run `chown {}` on it",
        path.display(),
        about.st_uid,
        geteuid().as_raw()
    ))
}

/// What is wrong with the rights of a file or folder that the agent trusts, in words;
/// `None` where nothing is, or it cannot be looked at. Changes nothing.
pub(crate) fn too_wide(path: &Path) -> Option<String> {
    let about = stat(path).ok()?;
    let (mode, us) = (about.st_mode & 0o7777, geteuid().as_raw());
    if about.st_uid != us && about.st_uid != 0 {
        return Some(another(path, &about).to_string());
    }
    (mode & FOREIGN != 0 && mode & STICKY == 0).then(|| {
        let path = path.display();
        format!("{path} may be written by others (mode {mode:o}): run `chmod go-w` on it")
    })
}

/// Narrows a file or folder that others may write. One that is not there is none of
/// this one's business.
///
/// # Errors
/// It belongs to another user, or cannot be narrowed.
pub fn narrow(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = open(path, flags, Mode::empty()) else {
        return Ok(());
    };
    let about = fstat(&file)?;
    let us = geteuid().as_raw();
    if about.st_uid != us && about.st_uid != 0 {
        return Err(another(path, &about));
    }
    let mode = about.st_mode & 0o7777;
    if mode & FOREIGN == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    fchmod(&file, Mode::from_raw_mode(mode & !FOREIGN)).map_err(|error| {
        let path = path.display();
        io::Error::other(format!(
            "{path} may be written by others, who could have the agent run anything: \
             run `chmod go-w` on it ({error})"
        ))
    })?;
    tracing::warn!(
        "{} could be written by others (mode {mode:o}), who could have had the agent run \
         anything; that was taken from them",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_for_all_becomes_the_agents_alone_and_stays_the_one_worked_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upgrade");
        fs::create_dir(&path).unwrap();
        set(&path, 0o777);
        let own = Own::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert!(own.is_in_place());
        fs::rename(&path, dir.path().join("away")).unwrap();
        assert!(!own.is_in_place());
        fs::create_dir(&path).unwrap();
        assert!(!own.is_in_place());
        fs::write(own.inside().join("file"), "").unwrap();
        assert!(dir.path().join("away/file").exists());
        symlink("away", dir.path().join("link")).unwrap();
        assert!(Own::open(&dir.path().join("link")).is_err());
    }

    #[test]
    fn what_others_may_write_is_narrowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        narrow(&path).unwrap();
        fs::write(&path, "").unwrap();
        for (before, after) in [(0o664, 0o644), (0o646, 0o644), (0o600, 0o600)] {
            set(&path, before);
            narrow(&path).unwrap();
            assert_eq!(mode(&path), after);
        }
        set(dir.path(), 0o1777);
        narrow(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o1777, "as /tmp");
    }

    #[test]
    fn what_is_anothers_is_refused_with_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        // Only root can give it away.
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
            let error = narrow(&path).unwrap_err().to_string();
            assert!(error.contains("belongs to user 65534"), "{error}");
        }
    }
}
