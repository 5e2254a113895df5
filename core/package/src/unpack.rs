//! Putting the files of a package into a folder. Everything is made in a
//! staging folder first; only when all of it is good is it moved into place.
//! The agent uses [`unmerge`], the administrator's tool [`unpack`].

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};
use std::time::SystemTime;

use rustix::fs::{AtFlags, renameat, statat};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::digest::BUFFER;
use crate::error::{PackageError, SignatureError, UnmergeError};
use crate::file::{FileError, parent_of};
use crate::folder::Folder;
use crate::limits::Limits;
use crate::merged::{Contents, Merged, check_merged};
use crate::reader::Package;
use crate::verify::{Trust, Verified};

/// Modes of what is made; they hold whatever the umask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    /// Mode of files. Default 0640.
    pub file: u32,
    /// Mode of folders. Default 0750.
    pub folder: u32,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            file: 0o640,
            folder: 0o750,
        }
    }
}

/// How to unpack.
#[derive(Debug, Clone, Default)]
pub struct UnpackOptions {
    /// Bounds of the package.
    pub limits: Limits,
    /// Modes of what is made.
    pub modes: Modes,
}

/// An unpacked package.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// Who signed it.
    pub verified: Verified,
    /// What was made.
    pub contents: Contents,
}

/// Takes merged content (section 8) apart into the existing folder `target`.
/// The content is first checked as a whole, then written into a staging
/// folder inside `target`, then moved up; after a failure `target` is as it
/// was. Nothing in `target` is replaced. `label` names the content in
/// messages.
///
/// # Errors
/// [`UnmergeError`]; the agent answers code 16.
pub fn unmerge(
    merged: &mut (impl Read + Seek),
    label: &str,
    target: &Path,
    options: &UnpackOptions,
) -> Result<Contents, UnmergeError> {
    let staging = staging_in(target)?;
    let contents = write_staged(merged, label, staging.path(), options)?;
    move_up(staging.path(), target, &contents)?;
    Ok(contents)
}

/// Verifies the package file `package` at time `at` and unpacks it into
/// `target`, which is made, or must be empty of anything that would be
/// replaced. Nothing is visible in `target` before all of the package is
/// known to be good.
///
/// # Errors
/// [`PackageError`] of the stage that failed.
pub fn unpack(
    package: &Path,
    target: &Path,
    trust: Trust<'_>,
    at: SystemTime,
    options: &UnpackOptions,
) -> Result<Unpacked, PackageError> {
    let mut package = Package::open(package, &options.limits)?;
    let verified = package.verify(trust, at)?;
    unpack_verified(package, verified, target, options)
}

/// As [`unpack`], from a reader that can be read only once: the compressed
/// part is first put into an unnamed file beside `target`, at most
/// `limits.packed` bytes.
///
/// # Errors
/// [`PackageError`] of the stage that failed.
pub fn unpack_from(
    reader: impl Read,
    label: &str,
    target: &Path,
    trust: Trust<'_>,
    at: SystemTime,
    options: &UnpackOptions,
) -> Result<Unpacked, PackageError> {
    let package = Package::read(reader, label, &options.limits)?;
    // Strangers get no disk space: the chain is checked before the rest is read.
    package
        .signer(trust, at)
        .map_err(|error| PackageError::signature(label, error))?;
    let mut package = spool(package, parent_of(target))?;
    let verified = package.verify(trust, at)?;
    unpack_verified(package, verified, target, options)
}

fn unpack_verified<R: Read + Seek>(
    mut package: Package<R>,
    verified: Verified,
    target: &Path,
    options: &UnpackOptions,
) -> Result<Unpacked, PackageError> {
    let label = package.label.clone();
    let fail = |error: UnmergeError| PackageError::unmerge(&label, error);
    let exists = target.is_dir();
    // Staged inside or next to the target: the final move is a rename.
    let staging = staging_in(if exists { target } else { parent_of(target) }).map_err(fail)?;
    let mut merged = tempfile::tempfile_in(staging.path()).map_err(|error| {
        PackageError::uncompress(
            &label,
            FileError::new("create a file in", staging.path(), error),
        )
    })?;
    let place = staging.path().display().to_string();
    package.gunzip(&verified, &mut merged, &place)?;
    let contents = write_staged(&mut merged, &label, staging.path(), options).map_err(fail)?;
    if exists {
        move_up(staging.path(), target, &contents).map_err(fail)?;
    } else {
        let moved =
            fs::set_permissions(staging.path(), Permissions::from_mode(options.modes.folder))
                .and_then(|()| fs::rename(staging.path(), target));
        moved.map_err(|error| fail(FileError::new("create", target, error).into()))?;
        // The folder has its final name now; there is nothing left to remove.
        let _ = staging.keep();
    }
    Ok(Unpacked { verified, contents })
}

/// Copies the payload into an unnamed file, so that it can be read twice.
fn spool<R: Read>(mut package: Package<R>, place: &Path) -> Result<Package<File>, PackageError> {
    let label = package.label.clone();
    let fail = |error: SignatureError| PackageError::signature(&label, error);
    let mut file = tempfile::tempfile_in(place)
        .map_err(|error| fail(FileError::new("create a file in", place, error).into()))?;
    let limit = package.limits.packed;
    let mut buffer = vec![0; BUFFER];
    let mut size: u64 = 0;
    loop {
        let n = match package.payload.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(fail(FileError::labelled("read", &label, error).into())),
        };
        size += n as u64;
        if size > limit {
            return Err(fail(SignatureError::PackageTooLarge { limit }));
        }
        file.write_all(buffer.get(..n).unwrap_or_default())
            .map_err(|error| fail(FileError::new("write to a file in", place, error).into()))?;
    }
    Ok(Package {
        label: package.label,
        limits: package.limits,
        certificates: package.certificates,
        signature: package.signature,
        payload: std::io::BufReader::with_capacity(BUFFER, file),
        payload_start: 0,
    })
}

/// A private folder (0700) that goes away with everything in it.
fn staging_in(folder: &Path) -> Result<TempDir, UnmergeError> {
    tempfile::Builder::new()
        .prefix(".wpk-")
        .tempdir_in(folder)
        .map_err(|error| FileError::new("create a staging folder in", folder, error).into())
}

fn write_staged(
    merged: &mut (impl Read + Seek),
    label: &str,
    staging: &Path,
    options: &UnpackOptions,
) -> Result<Contents, UnmergeError> {
    let UnpackOptions { limits, modes } = options;
    let rewind = |merged: &mut dyn Seek| {
        merged
            .seek(SeekFrom::Start(0))
            .map_err(|e| FileError::labelled("seek in", label, e))
    };
    rewind(merged)?;
    check_merged(&mut *merged, label, limits)?;
    rewind(merged)?;
    let folder = Folder::open(staging)?;
    let mut parser = Merged::new(merged, label, limits);
    let mut contents = Contents::default();
    while let Some(entry) = parser.next_entry()? {
        let mut file = folder.create(&entry.name, modes.file, modes.folder)?;
        let path = staging.join(&entry.name).display().to_string();
        parser.copy_body(&entry, &mut file, &path)?;
        contents.entries.push(entry);
    }
    contents.tag = parser.tag().map(ToOwned::to_owned);
    Ok(contents)
}

/// Moves everything from `staging` to `target`; undoes it when one fails.
fn move_up(staging: &Path, target: &Path, contents: &Contents) -> Result<(), UnmergeError> {
    let (from, to) = (Folder::open(staging)?, Folder::open(target)?);
    let mut tops: Vec<OsString> = contents
        .entries
        .iter()
        .filter_map(|entry| match entry.name.components().next() {
            Some(Component::Normal(top)) => Some(top.to_owned()),
            _ => None,
        })
        .collect();
    tops.sort();
    tops.dedup();
    for top in &tops {
        let path = || target.join(top);
        match statat(to.as_fd(), top, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => {
                return Err(UnmergeError::Exists {
                    path: path().display().to_string(),
                });
            }
            Err(error) => return Err(FileError::new("inspect", &path(), error).into()),
        }
    }
    for (moved, top) in tops.iter().enumerate() {
        if let Err(error) = renameat(from.as_fd(), top, to.as_fd(), top) {
            for back in tops.iter().take(moved) {
                // Best effort: the first error is the one to report.
                let _ = renameat(to.as_fd(), back, from.as_fd(), back);
            }
            return Err(FileError::new("create", &target.join(top), error).into());
        }
    }
    Ok(())
}
