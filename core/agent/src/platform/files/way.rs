//! The way to a file, gone step by step from one held folder to the next: what was looked
//! at is what was passed, whatever is put in its place meanwhile.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};

use super::{About, about_open, path_of};

/// Links that are followed at most.
const MOST_LINKS: usize = 40;

/// All that was passed.
#[derive(Debug)]
pub(crate) struct Way {
    /// Each folder, each link, what those lead to, and the file itself.
    pub(crate) passed: Vec<(PathBuf, About, Held)>,
    /// What it leads to; `None` where there is nothing, or it cannot be reached.
    pub(crate) end: Option<Held>,
}

/// A file or folder, held.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<File>);

impl Held {
    /// A path that leads to it wherever it is by now.
    pub(crate) fn path(&self) -> PathBuf {
        path_of(&self.0)
    }

    /// Changes its rights.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(self.path(), Permissions::from_mode(mode))
    }
}

/// Goes to `path`.
pub(crate) fn walk(path: &Path) -> Way {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut passed = Vec::new();
    let end = go(&path, &mut passed).ok();
    Way { passed, end }
}

fn go(path: &Path, passed: &mut Vec<(PathBuf, About, Held)>) -> io::Result<Held> {
    let mut open = parts(path);
    let mut links = 0;
    // Each folder with those above it, for `..`.
    let mut at = vec![(PathBuf::from("/"), step(CWD, Path::new("/"))?)];
    while let Some(part) = open.pop_front() {
        let Some((folder, held)) = at.last() else {
            break;
        };
        if part == ".." {
            if at.len() > 1 {
                at.pop();
            }
            continue;
        }
        let next = folder.join(&part);
        let file = step(&held.0, Path::new(&part))?;
        let about = about_open(&file.0)?;
        passed.push((next.clone(), about, file.clone()));
        if !about.is_link {
            at.push((next, file));
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = readlinkat(&file.0, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            at.truncate(1);
        }
        for part in parts(&target).into_iter().rev() {
            open.push_front(part);
        }
    }
    let end = at.pop().map(|(_, file)| file);
    end.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Holds what has this name, be it a link, without opening it: a pipe would wait.
fn step(folder: impl AsFd, name: &Path) -> io::Result<Held> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = File::from(openat(folder, name, flags, Mode::empty())?);
    Ok(Held(Arc::new(held)))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_way_passes_links_and_what_they_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("real/deep")).unwrap();
        fs::write(at("real/file"), "content").unwrap();
        symlink("real/deep", at("short")).unwrap();
        symlink(at("short"), at("long")).unwrap();
        let way = walk(&at("long/../file"));
        let names: Vec<_> = way
            .passed
            .iter()
            .filter_map(|(path, ..)| path.strip_prefix(dir.path()).ok())
            .filter_map(Path::to_str)
            .collect();
        // The folder itself is passed once by the path and once by the absolute link.
        let expected = ["", "long", "", "short", "real", "real/deep", "real/file"];
        assert!(names == expected, "{names:?}");
        let held = way.end.unwrap();
        fs::rename(at("real/file"), at("real/other")).unwrap();
        fs::write(at("real/file"), "another").unwrap();
        assert_eq!(fs::read(held.path()).unwrap(), b"content");
    }

    #[test]
    fn where_there_is_nothing_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("round", dir.path().join("round")).unwrap();
        for none in ["round", "none", "none/deep", "round/deep"] {
            let way = walk(&dir.path().join(none));
            assert!(way.end.is_none() && way.passed.len() < 200, "{none}");
        }
        assert!(walk(Path::new("/")).end.is_some());
        super::super::make_pipe(&dir.path().join("pipe"));
        assert!(walk(&dir.path().join("pipe")).end.is_some());
    }
}
