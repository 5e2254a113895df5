//! Files that must never be half written or replaced by accident.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::CtlError;

/// New files that belong together: those made so far are removed again unless
/// [`NewFiles::keep`] is reached.
#[derive(Debug, Default)]
pub(crate) struct NewFiles {
    made: Vec<PathBuf>,
}

impl NewFiles {
    /// Writes a new file with `mode`, whatever the umask is.
    ///
    /// # Errors
    /// [`CtlError::Exists`] if there is one; it is left alone.
    pub(crate) fn write(&mut self, path: &Path, text: &[u8], mode: u32) -> Result<(), CtlError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => CtlError::Exists(path.to_owned()),
                _ => CtlError::file("create", path, error),
            })?;
        self.made.push(path.to_owned());
        file.set_permissions(Permissions::from_mode(mode))
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.sync_all())
            .map_err(|error| CtlError::file("write", path, error))
    }

    /// All of them are there: they stay.
    pub(crate) fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.made {
            // Best effort: the failure that leads here is the one to report.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a folder and those above it, each new one with `mode`.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), CtlError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| CtlError::file("create the folder", path, error))
}

/// Refuses to go on where one of the paths is taken, be it by a dangling link.
pub(crate) fn must_be_free<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), CtlError> {
    for path in paths {
        if path.symlink_metadata().is_ok() {
            return Err(CtlError::Exists(path.to_owned()));
        }
    }
    Ok(())
}

/// Puts `content` under `path` in one step: readers see the old file or the new one.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), CtlError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temp = new_temp(folder)?;
    temp.write_all(content)
        .map_err(|error| CtlError::file("write a file in", folder, error))?;
    put(temp, path, mode)
}

/// A file in `folder` that goes away unless it is [`put`] in place.
pub(crate) fn new_temp(folder: &Path) -> Result<tempfile::NamedTempFile, CtlError> {
    tempfile::Builder::new()
        .prefix(".wpkctl-")
        .tempfile_in(folder)
        .map_err(|error| CtlError::file("create a file in", folder, error))
}

/// Syncs a temporary file and renames it to `path`, which lies in its folder.
pub(crate) fn put(temp: tempfile::NamedTempFile, path: &Path, mode: u32) -> Result<(), CtlError> {
    let failed = |error| CtlError::file("write", path, error);
    temp.as_file()
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| temp.as_file().sync_all())
        .map_err(failed)?;
    temp.persist(path).map_err(|error| failed(error.error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CtlError::file("sync", folder, error))
}
