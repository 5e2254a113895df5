//! The file that takes what installers print: `logs/wpk-installer.log`.
//!
//! The installer writes into the file itself, not through us: most installers
//! restart the agent, and a pipe would break under them. Whoever looks now and
//! then keeps the file within its limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

/// The file and its limit.
#[derive(Debug, Clone)]
pub(crate) struct InstallerLog {
    path: PathBuf,
    limit: u64,
}

impl InstallerLog {
    /// `limit` in bytes.
    pub(crate) fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit }
    }

    /// Opens the file for the next installer: for appending, so that the end is
    /// found again after the file was cut.
    ///
    /// # Errors
    /// Those of opening and writing.
    pub(crate) fn open(&self, package: &str) -> io::Result<File> {
        self.bound();
        let mut file = self.append(true)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        writeln!(
            file,
            "--- installer of {package:?}, started {now} s after 1970"
        )?;
        Ok(file)
    }

    /// Cuts the file in half when it is beyond its limit: the beginning stays,
    /// which mostly tells why.
    pub(crate) fn bound(&self) {
        let Ok(file) = self.append(false) else { return };
        let cut = file.metadata().and_then(|meta| {
            if meta.is_file() && meta.len() > self.limit {
                file.set_len(self.limit / 2)
            } else {
                Ok(())
            }
        });
        if let Err(error) = cut {
            tracing::warn!(
                "{}: cannot be cut to its limit: {error}",
                self.path.display()
            );
        }
    }

    fn append(&self, create: bool) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        OpenOptions::new()
            .append(true)
            .create(create)
            .mode(0o640)
            .custom_flags(flags.bits().cast_signed())
            .open(&self.path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
