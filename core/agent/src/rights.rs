//! Who may write where the agent trusts what it reads: a member of a group, or anybody,
//! who can change settings, the CA store, the agent's own program or `var/upgrade`, or
//! put others in their place, can run what he likes as the agent's user. What is too wide
//! is narrowed, and said; what belongs to somebody else is refused. `home`, `upgrade`,
//! `unfinished` and the start enter; the checks for the administrator ask.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::platform::files::{self, About, Held};
use crate::settings::Settings;

/// Folders of a home that the daemons of a real agent write as well, by their group.
const SHARED: [&str; 2] = ["etc", "var/run"];

/// A folder that belongs to the agent alone, held open: whatever is put in its place
/// meanwhile, this one is worked in.
#[derive(Debug)]
pub(crate) struct Own {
    folder: File,
    path: PathBuf,
}

impl Own {
    /// Opens the folder, never through a link, and makes it the agent's alone (0700)
    /// where it is not.
    ///
    /// # Errors
    /// Another's folder, which is refused, and those of the system.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let folder = files::open_folder(path)?;
        let about = files::about_open(&folder)?;
        let (shown, mode) = (path.display(), about.mode);
        if about.owner != files::user() {
            files::take(&folder).map_err(|_| another(path, &about))?;
            let owner = about.owner;
            tracing::warn!("{shown} belonged to user {owner}; it is the agent's now");
        }
        if mode != 0o700 {
            files::set_mode(&folder, 0o700)?;
            tracing::info!("{shown} had mode {mode:o}; it is the agent's alone now, 0700");
        }
        Ok(Self {
            folder,
            path: path.to_owned(),
        })
    }

    /// A path that leads into the folder wherever it is.
    pub(crate) fn inside(&self) -> PathBuf {
        files::path_of(&self.folder)
    }

    /// Whether it is still what is at its path: from there the installer is run.
    pub(crate) fn is_in_place(&self) -> bool {
        match (files::about_open(&self.folder), files::about(&self.path)) {
            (Ok(held), Ok(there)) => held.identity == there.identity,
            _ => false,
        }
    }
}

fn another(path: &Path, about: &About) -> io::Error {
    io::Error::other(format!(
        "{} belongs to user {}, who could have the agent run anything: run `chown {}` on it",
        path.display(),
        about.owner,
        files::user()
    ))
}

fn wide(path: &Path, about: &About) -> io::Error {
    io::Error::other(format!(
        "{} may be written by others (mode {:o}), who could have the agent run anything: \
         run `chmod go-w` on it",
        path.display(),
        about.mode
    ))
}

/// Narrows a file or folder that others may write. One that is not there is none of
/// this one's business.
///
/// # Errors
/// It belongs to another user, or cannot be narrowed.
pub(crate) fn narrow(path: &Path) -> io::Result<()> {
    narrow_to(path, false)
}

/// As [`narrow`]; with `group` its group keeps its rights.
pub(crate) fn narrow_to(path: &Path, group: bool) -> io::Result<()> {
    let Ok(file) = files::unblocked(0).read(true).open(path) else {
        return Ok(());
    };
    let about = files::about_open(&file)?;
    if !about.is_trusted() {
        return Err(another(path, &about));
    }
    narrow_held(path, &about, group, |mode| files::set_mode(&file, mode))
}

fn narrow_held(
    path: &Path,
    about: &About,
    group: bool,
    set_mode: impl FnOnce(u32) -> io::Result<()>,
) -> io::Result<()> {
    let narrowed = about.narrowed(group);
    if !about.is_wide() || narrowed == about.mode {
        return Ok(());
    }
    set_mode(narrowed)
        .map_err(|error| io::Error::other(format!("{} ({error})", wide(path, about))))?;
    tracing::warn!(
        "{} could be written by others (mode {:o}), who could have had the agent run \
         anything; that was taken from them",
        path.display(),
        about.mode
    );
    Ok(())
}

/// Looks at files that are trusted, and at all that leads to them: whoever may write a
/// folder on the way can put another file in its place, and so can whose link it is.
///
/// Inside the home too wide folders are narrowed, outside of it nothing is changed. Beside
/// a real agent the group of `etc` and `var/run` keeps its rights: its daemons work there.
/// What they could do is bounded: a file that is not root's or the agent's own is refused,
/// as is a link of theirs.
#[derive(Debug)]
pub(crate) struct Guard {
    home: PathBuf,
    shared: Vec<PathBuf>,
    /// What was looked at, by its path: another in its place was not.
    seen: HashSet<(PathBuf, (u64, u64))>,
}

impl Guard {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self::of(&settings.home, settings.listen.is_some())
    }

    /// `beside`: a real agent works in the home as well.
    pub(crate) fn of(home: &Path, beside: bool) -> Self {
        let shared: &[&str] = if beside { &SHARED } else { &[] };
        Self {
            home: home.to_owned(),
            shared: shared.iter().map(|inside| home.join(inside)).collect(),
            seen: HashSet::new(),
        }
    }

    /// Looks at one file or folder.
    ///
    /// What is returned is what was looked at, whatever has its place by now; `None` where
    /// there is nothing.
    ///
    /// # Errors
    /// The first thing that cannot be trusted, and what to do.
    pub(crate) fn trust(&mut self, path: &Path) -> io::Result<Option<Held>> {
        let way = files::walk(path);
        let last = way.passed.len().saturating_sub(1);
        for (index, (step, about, held)) in way.passed.into_iter().enumerate() {
            if !self.seen.insert((step.clone(), about.identity)) {
                continue;
            }
            let outside = index < last && !step.starts_with(&self.home);
            let shared = self.shared.contains(&step);
            if !about.is_trusted() {
                if !shared {
                    return Err(another(&step, &about));
                }
                tracing::warn!("{}", elsewhere(&step, path));
            } else if about.is_wide() && outside {
                return Err(wide(&step, &about));
            } else if about.is_wide() {
                narrow_held(&step, &about, shared, |mode| held.set_mode(mode))?;
                if shared {
                    tracing::warn!("{}", elsewhere(&step, path));
                }
            }
        }
        Ok(way.end)
    }

    /// Whether the daemons of a real agent write this folder as well.
    pub(crate) fn is_shared(&self, folder: &Path) -> bool {
        self.shared.iter().any(|shared| shared == folder)
    }

    /// What [`Guard::trust`] would complain of or put right, a line each; changes nothing.
    pub(crate) fn complaints(&mut self, path: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        for (step, about, _) in files::walk(path).passed {
            if !self.seen.insert((step.clone(), about.identity)) {
                continue;
            }
            let shared = self.shared.contains(&step) && !about.is_for_everybody();
            if shared && step == path {
                // Only of what is trusted in it there is something to say.
                self.seen.remove(&(step, about.identity));
            } else if shared && (about.is_wide() || !about.is_trusted()) {
                lines.push(elsewhere(&step, path));
            } else if !about.is_trusted() {
                lines.push(another(&step, &about).to_string());
            } else if about.is_wide() {
                lines.push(wide(&step, &about).to_string());
            }
        }
        lines
    }
}

fn elsewhere(folder: &Path, file: &Path) -> String {
    format!(
        "{} may be written by the daemons of the real agent, who could take {} away or put \
         another of root's files in its place: keep it in a folder that only root may write",
        folder.display(),
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

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
        symlink("away", &path).unwrap();
        assert!(!own.is_in_place(), "a link to it is not it");
        fs::remove_file(&path).unwrap();
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
        if lchown(&path, Some(65_534), None).is_ok() {
            let error = narrow(&path).unwrap_err().to_string();
            assert!(error.contains("belongs to user 65534"), "{error}");
        }
    }

    /// A home in a folder, with a CA store in its `etc`.
    fn store() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("above/home");
        fs::create_dir_all(home.join("etc")).unwrap();
        let store = home.join("etc/wpk_root.pem");
        fs::write(&store, "").unwrap();
        for folder in ["above", "above/home", "above/home/etc"] {
            set(&dir.path().join(folder), 0o755);
        }
        (dir, home, store)
    }

    #[test]
    fn folders_on_the_way_are_narrowed_inside_the_home_and_refused_outside() {
        let (dir, home, store) = store();
        let etc = home.join("etc");
        for (beside, after) in [(false, 0o755), (true, 0o775)] {
            set(&etc, 0o777);
            let lines = Guard::of(&home, beside).complaints(&store);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(mode(&etc), 0o777, "it only looks");
            Guard::of(&home, beside).trust(&store).unwrap();
            assert_eq!(mode(&etc), after, "beside a real agent: {beside}");
        }
        let lines = Guard::of(&home, true).complaints(&store);
        assert!(lines[0].contains("daemons of the real agent"), "{lines:?}");
        set(&dir.path().join("above"), 0o775);
        let error = Guard::of(&home, true).trust(&store).unwrap_err();
        assert!(
            error.to_string().contains("above may be written"),
            "{error}"
        );
        set(&dir.path().join("above"), 0o1777);
        Guard::of(&home, true).trust(&store).unwrap();
    }

    #[test]
    fn folders_and_links_of_others_lead_to_nothing_trusted() {
        let (dir, home, store) = store();
        let real = dir.path().join("real.pem");
        fs::write(&real, "").unwrap();
        fs::remove_file(&store).unwrap();
        symlink(&real, &store).unwrap();
        Guard::of(&home, true).trust(&store).unwrap();
        // Only root can give it away.
        if lchown(&store, Some(65_534), None).is_err() {
            return;
        }
        let error = Guard::of(&home, true).trust(&store).unwrap_err();
        assert!(
            error.to_string().contains("wpk_root.pem belongs to user"),
            "{error}"
        );
        lchown(&store, Some(0), None).unwrap();
        lchown(home.join("etc"), Some(65_534), None).unwrap();
        Guard::of(&home, true).trust(&store).unwrap();
        let error = Guard::of(&home, false).trust(&store).unwrap_err();
        assert!(error.to_string().contains("etc belongs to user"), "{error}");
    }
}
