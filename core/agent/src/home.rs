//! The folders of the agent's home: made where they are missing, rid of what a
//! killed agent left behind, and locked so that no second agent works in them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use wpk_api::paths;

use crate::platform::files;
use crate::rights::{self, Own};

/// What is known of installers that were begun. Not in `var/run`, where the daemons of a
/// real agent may put what they like.
const INSTALLER_LIVES: &str = "var/wpk-installers";

/// What staging folders of unpacking are called (see `wpk-package`).
pub(crate) const STAGING: &str = ".wpk-";

/// Locked while an agent runs.
pub(crate) const AGENT_LOCK: &str = "var/run/wpk-agent.lock";

/// Locked while an installer runs.
pub(crate) const INSTALLER_LOCK: &str = "var/run/wpk-installer.lock";

/// Why the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A folder or file the system refuses.
    #[error("{path}: cannot {action}: {source}; it must belong to the agent's user")]
    Path {
        /// The folder or file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Another agent holds the lock.
    #[error("{0} is locked: another wpk-agent works in this home; stop it first")]
    Locked(PathBuf),
}

/// A prepared home. The lock is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the folders and cleans them. `beside`: the daemons of a real agent work in
    /// `var/run` too, by their group.
    pub(crate) fn prepare(root: &Path, beside: bool) -> Result<Self, HomeError> {
        for folder in [
            "var/run",
            paths::INCOMING_FOLDER,
            paths::UPGRADE_FOLDER,
            INSTALLER_LIVES,
            "tmp",
            "logs",
        ] {
            make_folder(&root.join(folder))?;
        }
        let ours = |path: PathBuf, done: io::Result<()>| {
            done.map_err(|source| HomeError::Path {
                path,
                action: "make the agent's alone",
                source,
            })
        };
        for folder in ["", "var", "var/run"] {
            let path = root.join(folder);
            let shared = beside && folder == "var/run";
            ours(path.clone(), rights::narrow_to(&path, shared))?;
        }
        for folder in [paths::UPGRADE_FOLDER, INSTALLER_LIVES] {
            let path = root.join(folder);
            ours(path.clone(), Own::open(&path).map(drop))?;
        }
        let home = Self {
            root: root.to_owned(),
            _lock: lock(&root.join(AGENT_LOCK))?,
        };
        // Only plain files, because only they are left by a killed agent.
        sweep(&home.incoming(), |entry| {
            entry.file_type().is_ok_and(|kind| kind.is_file())
        });
        sweep(&home.upgrade(), |entry| {
            let staging = entry.file_name().to_string_lossy().starts_with(STAGING);
            staging && entry.file_type().is_ok_and(|kind| kind.is_dir())
        });
        Ok(home)
    }

    /// `DIR`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where packages arrive.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join(paths::INCOMING_FOLDER)
    }

    /// Where they are unpacked to and their installer runs from.
    pub(crate) fn upgrade(&self) -> PathBuf {
        self.root.join(paths::UPGRADE_FOLDER)
    }

    /// What an installer leaves there at its end.
    pub(crate) fn upgrade_result(&self) -> PathBuf {
        self.root.join(paths::UPGRADE_RESULT)
    }

    /// Where packages are unzipped.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Locked while an installer runs.
    pub(crate) fn installer_lock(&self) -> PathBuf {
        self.root.join(INSTALLER_LOCK)
    }

    /// What is known of installers that were begun.
    pub(crate) fn installer_lives(&self) -> PathBuf {
        self.root.join(INSTALLER_LIVES)
    }

    /// What installers print. Outside `var/upgrade`, which is emptied.
    pub(crate) fn installer_log(&self) -> PathBuf {
        self.root.join("logs/wpk-installer.log")
    }
}

/// Makes a folder where there is none. A link in its place is refused: what is
/// written there would end up elsewhere.
pub(crate) fn make_folder(path: &Path) -> Result<(), HomeError> {
    let fail = |action, source| HomeError::Path {
        path: path.to_owned(),
        action,
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(fail(
            "use as a folder",
            io::Error::from(io::ErrorKind::NotADirectory),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::make_folders(path, 0o750).map_err(|source| fail("create the folder", source))
        }
        Err(source) => Err(fail("look at", source)),
    }
}

fn lock(path: &Path) -> Result<File, HomeError> {
    let fail = |action, source| HomeError::Path {
        path: path.to_owned(),
        action,
        source,
    };
    files::remove_anothers(path).map_err(|source| fail("replace", source))?;
    let file = files::unlinked(0o600)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| fail("open", source))?;
    let locked = files::lock(file).map_err(|source| fail("lock", source))?;
    locked.ok_or_else(|| HomeError::Locked(path.to_owned()))
}

/// Removes what `old` picks, without following links. What cannot be removed is
/// logged: the next start tries again.
fn sweep(folder: &Path, old: impl Fn(&fs::DirEntry) -> bool) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!("{}: cannot be cleaned: {error}", folder.display());
            return;
        }
    };
    for entry in entries.flatten().filter(|entry| old(entry)) {
        let path = entry.path();
        match remove(&path) {
            Ok(()) => tracing::info!("removed a left-over: {}", path.display()),
            Err(error) => tracing::warn!("{}: cannot be removed: {error}", path.display()),
        }
    }
}

/// Removes a file, a link itself, or a folder with everything in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_go_and_results_stay() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("var/upgrade/.wpk-x/data")).unwrap();
        fs::create_dir_all(at("var/incoming")).unwrap();
        fs::create_dir_all(at("tmp")).unwrap();
        for file in [
            "var/incoming/half.wpk",
            "var/upgrade/upgrade_result",
            "tmp/of-others",
        ] {
            fs::write(at(file), "0\n").unwrap();
        }
        let home = Home::prepare(dir.path(), false).unwrap();
        assert!(!at("var/incoming/half.wpk").exists());
        assert!(!at("var/upgrade/.wpk-x").exists());
        assert!(at("var/upgrade/upgrade_result").exists() && at("tmp/of-others").exists());
        assert!(matches!(
            Home::prepare(dir.path(), false),
            Err(HomeError::Locked(_))
        ));
        drop(home);
        Home::prepare(dir.path(), false).unwrap();
    }

    #[test]
    fn a_link_is_no_folder_of_the_home() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(dir.path().join("var")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("var/upgrade")).unwrap();
        let error = Home::prepare(dir.path(), false).unwrap_err().to_string();
        assert!(error.contains("var/upgrade"), "{error}");
    }
}
