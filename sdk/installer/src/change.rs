//! What is done to one target: stage, back up, change, restore, tidy. Every
//! function may be called again after a crash in its middle, except staging,
//! which is undone instead. A roll back writes no byte, it only renames: a full
//! disk cannot stop it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, linkat, mkdirat, openat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::place::{Beside, Place, is_file};
use crate::record::{Entry, Kind, Record};

/// Owner and rights of a new file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rights {
    pub(crate) mode: u32,
    pub(crate) owner: Option<(u32, u32)>,
}

/// Makes a folder of mode 0750, with the group of the folder it lies in.
pub(crate) fn make_folder(place: &Place) -> io::Result<()> {
    let beside = place.beside()?;
    mkdirat(&beside.folder, &beside.name, Mode::from_raw_mode(0o750))?;
    let made = crate::place::walk(&place.root, &place.inside)?;
    let _ = fchown(&made, None, Some(group_of(&beside)?));
    beside.sync()
}

/// Puts the new file beside its target, complete and synced.
pub(crate) fn stage(
    record: &Record,
    entry: &Entry,
    source: &File,
    rights: Rights,
) -> io::Result<()> {
    let beside = entry.place.beside()?;
    write_copy(&beside, &record.new_name(entry), source, rights)?;
    beside.sync()
}

/// Keeps the old file under a second name: a hard link where there are any,
/// else a copy.
pub(crate) fn back_up(record: &Record, entry: &Entry) -> io::Result<()> {
    let beside = entry.place.beside()?;
    let old = record.old_name(entry);
    match linkat(
        &beside.folder,
        &beside.name,
        &beside.folder,
        &old,
        AtFlags::empty(),
    ) {
        Ok(()) => {}
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK | Errno::ACCESS) => {
            let source = entry.place.open()?;
            let meta = source.metadata()?;
            let rights = Rights {
                mode: meta.mode() & 0o7777,
                owner: Some((meta.uid(), meta.gid())),
            };
            write_copy(&beside, &old, &source, rights)?;
        }
        Err(error) => return Err(error.into()),
    }
    let backed_up = beside.look(&old)?;
    if backed_up.is_none_or(|stat| !is_file(&stat)) {
        return Err(io::Error::other("it became something else meanwhile"));
    }
    beside.sync()
}

/// Changes the target.
pub(crate) fn change(record: &Record, entry: &Entry) -> io::Result<()> {
    let beside = entry.place.beside()?;
    let (folder, name, new) = (&beside.folder, &beside.name, record.new_name(entry));
    match entry.kind {
        Kind::Swap => renameat(folder, &new, folder, name)?,
        Kind::Remove => unlinkat(folder, name, AtFlags::empty())?,
        Kind::Add => match renameat_with(folder, &new, folder, name, RenameFlags::NOREPLACE) {
            // A file system that cannot tell.
            Err(Errno::INVAL | Errno::NOSYS) if beside.look(name)?.is_none() => {
                renameat(folder, &new, folder, name)?;
            }
            other => other?,
        },
    }
    beside.sync()
}

/// Makes the target what it was before the run. The new file stays where it is
/// until [`tidy`]: that it is gone tells that it became the target.
pub(crate) fn restore(record: &Record, entry: &Entry) -> io::Result<()> {
    let Some(beside) = open(entry)? else {
        return Ok(());
    };
    let (folder, name) = (&beside.folder, &beside.name);
    let (old, new) = (record.old_name(entry), record.new_name(entry));
    match entry.kind {
        // Before all backups are complete no target has changed.
        Kind::Swap | Kind::Remove if record.ready && beside.look(&old)?.is_some() => {
            renameat(folder, &old, folder, name)?;
        }
        // Its new file was moved into place by us, and by nobody else.
        Kind::Add if record.ready && beside.look(&new)?.is_none() => forget(&beside, name)?,
        _ => {}
    }
    // A rename between two names of one file leaves both.
    forget(&beside, &old)?;
    beside.sync()
}

/// Removes what lies beside the target: the backup, and a new file not used.
pub(crate) fn tidy(record: &Record, entry: &Entry) -> io::Result<()> {
    let Some(beside) = open(entry)? else {
        return Ok(());
    };
    forget(&beside, &record.old_name(entry))?;
    forget(&beside, &record.new_name(entry))?;
    beside.sync()
}

/// Removes a folder that the run has made, unless somebody uses it by now.
pub(crate) fn remove_folder(place: &Place) -> io::Result<()> {
    let beside = match place.beside() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match unlinkat(&beside.folder, &beside.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
            beside.sync()
        }
        Err(error) => Err(error.into()),
    }
}

/// The group a new file in this folder gets.
fn group_of(beside: &Beside) -> io::Result<Gid> {
    Ok(Gid::from_raw(rustix::fs::fstat(&beside.folder)?.st_gid))
}

fn write_copy(beside: &Beside, name: &str, mut source: &File, rights: Rights) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&beside.folder, name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(file);
    io::copy(&mut source, &mut file)?;
    match rights.owner {
        Some((user, group)) => {
            fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?
        }
        // Who is not root and not of that group leaves it as created.
        None => match fchown(&file, None, Some(group_of(beside)?)) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        },
    }
    fchmod(&file, Mode::from_raw_mode(rights.mode))?;
    file.sync_all()
}

/// `None` when the folder is not there, so that nothing in it is.
fn open(entry: &Entry) -> io::Result<Option<Beside>> {
    match entry.place.beside() {
        Ok(beside) => Ok(Some(beside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn forget(beside: &Beside, name: &str) -> io::Result<()> {
    match unlinkat(&beside.folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
