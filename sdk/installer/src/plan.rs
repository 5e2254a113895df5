//! From what an author asks for to what will be done: every target is looked at
//! before any is touched.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::change::Rights;
use crate::error::InstallError;
use crate::place::{Place, is_file};
use crate::record::{Entry, Kind, Record};
use crate::state;

/// Rights of a new file whose author gave none.
const DEFAULT_MODE: u32 = 0o640;

/// What an author asked for.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A new content; the mode is kept unless given.
    Put {
        target: PathBuf,
        source: PathBuf,
        mode: Option<u32>,
    },
    /// It goes.
    Remove { target: PathBuf },
}

impl Item {
    fn target(&self) -> &Path {
        match self {
            Self::Put { target, .. } | Self::Remove { target } => target,
        }
    }
}

/// An entry with what only this process needs to know.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) entry: Entry,
    /// Absent where a file goes.
    pub(crate) put: Option<(Place, Rights)>,
}

/// An item with its paths found good; nothing was looked at yet.
#[derive(Debug)]
pub(crate) struct Resolved {
    item: Item,
    target: Place,
    source: Option<Place>,
}

/// Checks all paths. `package` is relative to the home, `outside` are further
/// folders that may hold targets.
pub(crate) fn resolve(
    home: &Path,
    package: &Path,
    outside: &[PathBuf],
    items: &[Item],
) -> Result<Vec<Resolved>, InstallError> {
    crate::place::check(package)?;
    let mut taken = BTreeSet::new();
    let mut resolved = Vec::new();
    for item in items {
        let target = place(home, outside, item.target())?;
        let refuse = |reason| InstallError::Refused {
            path: item.target().to_owned(),
            reason,
        };
        let path = target.path();
        if path.starts_with(home.join(state::FOLDER))
            || path == home.join("var/upgrade/upgrade_result")
        {
            return Err(refuse("it belongs to the installer itself"));
        }
        if !taken.insert(path) {
            return Err(refuse("it is a target already"));
        }
        let source = match item {
            Item::Put { source, .. } => {
                crate::place::check(source)?;
                Some(Place::new(home, &package.join(source))?)
            }
            Item::Remove { .. } => None,
        };
        let item = item.clone();
        resolved.push(Resolved {
            item,
            target,
            source,
        });
    }
    Ok(resolved)
}

fn place(home: &Path, outside: &[PathBuf], target: &Path) -> Result<Place, InstallError> {
    if let Ok(inside) = target.strip_prefix(home) {
        return Place::new(home, inside);
    }
    for root in outside {
        if let Ok(inside) = target.strip_prefix(root) {
            let canonical = root
                .canonicalize()
                .map_err(|error| InstallError::path(root, "use", error))?;
            return Place::new(&canonical, inside);
        }
    }
    Place::new(home, target)
}

/// Looks at every target, and writes down what will be done.
pub(crate) fn plan(
    resolved: &[Resolved],
    record: &mut Record,
) -> Result<Vec<Planned>, InstallError> {
    let mut planned = Vec::new();
    for (
        number,
        Resolved {
            item,
            target,
            source,
        },
    ) in resolved.iter().enumerate()
    {
        let fail = |error| InstallError::path(&target.path(), "replace", error);
        let missing = missing_folders(target).map_err(fail)?;
        let there = if missing.is_empty() {
            let beside = target.beside().map_err(fail)?;
            beside.look(&beside.name).map_err(fail)?
        } else {
            None
        };
        if there.as_ref().is_some_and(|stat| !is_file(stat)) {
            return Err(fail(io::Error::other("it is no plain file")));
        }
        let (kind, put) = match (item, source) {
            (Item::Put { mode, .. }, Some(source)) => {
                let rights = Rights {
                    mode: mode
                        .or(there.map(|stat| stat.st_mode))
                        .unwrap_or(DEFAULT_MODE)
                        & 0o7777,
                    owner: there.map(|stat| (stat.st_uid, stat.st_gid)),
                };
                let kind = if there.is_some() {
                    Kind::Swap
                } else {
                    Kind::Add
                };
                (kind, Some((source.clone(), rights)))
            }
            _ if there.is_some() => (Kind::Remove, None),
            // What shall go is gone.
            _ => continue,
        };
        if put.is_some() {
            let new = missing
                .into_iter()
                .filter(|folder| !record.folders.contains(folder));
            record.folders.extend(new.collect::<Vec<_>>());
        }
        let entry = Entry {
            kind,
            number,
            place: target.clone(),
        };
        record.entries.push(entry.clone());
        planned.push(Planned { entry, put });
    }
    Ok(planned)
}

/// The folders on the way that are not there.
fn missing_folders(target: &Place) -> io::Result<Vec<Place>> {
    let folders = target.folders();
    for (index, folder) in folders.iter().enumerate() {
        let beside = folder.beside()?;
        if beside.look(&beside.name)?.is_none() {
            return Ok(folders.into_iter().skip(index).collect());
        }
    }
    Ok(Vec::new())
}
