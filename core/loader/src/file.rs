//! From a path to bytes that nobody can change any more.
//!
//! The file is opened once; owner, mode and digest are those of what was opened.
//! Its bytes are copied into sealed memory, and that is what is loaded: between
//! the check and the load nothing can be exchanged.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{self, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::LoadError;

/// No plugin is larger, in bytes.
const MAX_LENGTH: u64 = 512 << 20;

/// How often memory is sealed that the kernel is busy with, and how long apart.
const SEAL_TRIES: u32 = 50;
const SEAL_PAUSE: Duration = Duration::from_millis(100);

/// A library that can be loaded and not be changed.
pub(crate) struct Sealed {
    memory: File,
}

impl Sealed {
    /// The path the dynamic linker finds it at. The descriptor stays open for
    /// ever: the linker knows libraries by their path, and would take a second
    /// one behind the same number for the first.
    pub(crate) fn into_path(self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.memory.into_raw_fd()))
    }
}

/// Opens, checks and copies the library at `path`.
pub(crate) fn open(path: &Path, sha256: Option<&[u8; 32]>) -> Result<Sealed, LoadError> {
    let io = |cause: std::io::Error| LoadError::Io {
        path: path.to_owned(),
        cause,
    };
    // Links are followed first, so that the folder checked is the one it lies in.
    let real = path.canonicalize().map_err(io)?;
    let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(LoadError::NotRegular(path.to_owned()));
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = fs::open(folder, flags | OFlags::DIRECTORY, Mode::empty());
    let opened_folder = File::from(opened.map_err(|error| io(error.into()))?);
    check_owner(folder, &opened_folder)?;
    let opened = fs::openat(&opened_folder, name, flags, Mode::empty());
    let mut file = File::from(opened.map_err(|error| io(error.into()))?);
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(LoadError::NotRegular(path.to_owned()));
    }
    check_owner(&real, &file)?;
    if metadata.len() > MAX_LENGTH {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
            length: metadata.len(),
            limit: MAX_LENGTH,
        });
    }
    // Shown in the memory map; the kernel takes no more than 249 bytes.
    let shown: String = name.to_string_lossy().chars().take(60).collect();
    let (memory, digest) = copy(&mut file, &shown).map_err(io)?;
    match sha256 {
        Some(wanted) if *wanted != digest => Err(LoadError::Digest {
            path: path.to_owned(),
            found: hex(&digest),
            wanted: hex(wanted),
        }),
        _ => Ok(Sealed { memory }),
    }
}

fn check_owner(path: &Path, opened: &File) -> Result<(), LoadError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = opened.metadata().map_err(|cause| LoadError::Io {
        path: path.to_owned(),
        cause,
    })?;
    let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        let path = path.to_owned();
        return Err(LoadError::Owner { path, uid });
    }
    if mode & 0o022 != 0 {
        let path = path.to_owned();
        return Err(LoadError::Writable { path, mode });
    }
    Ok(())
}

/// The bytes in sealed memory, and their digest.
fn copy(from: &mut File, name: &str) -> std::io::Result<(File, [u8; 32])> {
    use rustix::fs::MemfdFlags;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Older kernels do not know EXEC, and need it not.
    let memory = fs::memfd_create(name, flags | MemfdFlags::EXEC)
        .or_else(|_| fs::memfd_create(name, flags))?;
    let mut memory = File::from(memory);
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let length = from.read(&mut block)?;
        let Some(bytes) = block.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        total += length as u64;
        if total > MAX_LENGTH {
            return Err(std::io::Error::other("it grows while it is read"));
        }
        digest.update(bytes);
        memory.write_all(bytes)?;
    }
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    seal(|| fs::fcntl_add_seals(&memory, seals))?;
    // What cannot be found again cannot be loaded: /proc may not be mounted.
    std::fs::metadata(format!("/proc/self/fd/{}", memory.as_raw_fd()))?;
    Ok((memory, digest.finalize().into()))
}

/// The kernel refuses to seal memory while it moves or reclaims a page of it itself, which
/// it waits for a moment only; the file was read well, so it is asked again.
fn seal(add: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    let mut tries = 1;
    loop {
        match add() {
            Err(Errno::BUSY) if tries < SEAL_TRIES => tries += 1,
            done => return done,
        }
        std::thread::sleep(SEAL_PAUSE);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_the_kernel_is_busy_with_is_sealed_a_little_later() {
        let asked = std::cell::Cell::new(0);
        let busy_twice = || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 {
                Err(Errno::BUSY)
            } else {
                Ok(())
            }
        };
        assert_eq!(seal(busy_twice), Ok(()));
        assert_eq!(asked.get(), 3);
        assert_eq!(seal(|| Err(Errno::PERM)), Err(Errno::PERM));
    }
    use std::os::unix::fs::PermissionsExt;

    fn library(mode: u32, folder_mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugin.so");
        std::fs::write(&path, b"bytes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(folder_mode))
            .unwrap();
        (folder, path)
    }

    #[test]
    fn what_others_may_write_is_refused() {
        for (mode, folder_mode, good) in [
            (0o644, 0o755, true),
            (0o600, 0o700, true),
            (0o666, 0o755, false),
            (0o664, 0o755, false),
            (0o644, 0o777, false),
            (0o644, 0o1777, false),
        ] {
            let (_folder, path) = library(mode, folder_mode);
            let opened = open(&path, None);
            let fits = match &opened {
                Ok(_) => good,
                Err(error) => !good && matches!(error, LoadError::Writable { .. }),
            };
            assert!(fits, "{mode:o} in {folder_mode:o}: {:?}", opened.err());
        }
    }

    #[test]
    fn the_digest_is_that_of_the_copy_which_cannot_change() {
        let (_folder, path) = library(0o644, 0o755);
        let right: [u8; 32] = Sha256::digest(b"bytes").into();
        let sealed = open(&path, Some(&right)).unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(&path, b"other").unwrap();
        let copy = sealed.into_path();
        assert_eq!(std::fs::read(&copy).unwrap(), b"bytes");
        let write = std::fs::OpenOptions::new().write(true).open(&copy);
        assert!(write.and_then(|mut file| file.write_all(b"x")).is_err());
        let wrong = open(&path, Some(&right)).err().unwrap().to_string();
        assert!(wrong.contains("SHA-256"), "{wrong}");
    }

    #[test]
    fn only_regular_files_are_read() {
        let (folder, _) = library(0o644, 0o755);
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert!(matches!(open(&inner, None), Err(LoadError::NotRegular(_))));
        assert!(matches!(
            open(&folder.path().join("none"), None),
            Err(LoadError::Io { .. })
        ));
    }
}
