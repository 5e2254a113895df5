//! Files of an identity: written whole or not at all, and on disk before anything is
//! built on them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::platform::files;

/// A PEM file longer than this, in bytes, is none of ours.
const LONGEST: u64 = 256 * 1024;

/// Whose a new file is, where root writes it: an agent may run as another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The owner of the folder.
    Folder,
    /// The owner of the file that it replaces, if there is one.
    File,
}

/// Puts a file at `path` with exactly this mode.
pub(crate) fn put(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    let temporary = folder.join(hidden);
    remove(&temporary)?;
    let mut file = files::unlinked(0o600)
        .write(true)
        .create_new(true)
        .open(&temporary)?;
    let as_of = match owner {
        Owner::File if path.exists() => path,
        _ => folder,
    };
    files::give_as(&file, as_of)?;
    files::set_mode(&file, mode)?;
    file.write_all(content)?;
    file.sync_all()?;
    rename(&temporary, path)
}

/// Renames, and has the folder on disk.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(path),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// A file that is not too long.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let size = File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut content)?;
    if size as u64 > LONGEST {
        return Err(io::Error::other(format!(
            "has over {LONGEST} bytes, too many for certificates or a key"
        )));
    }
    Ok(content)
}
