//! The file that takes what installers print: `logs/wpk-installer.log`, never past its
//! limit. The supervisor of an installer writes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::home;
use crate::platform::files;

/// Stands where something is missing.
const CUT: &[u8] = b"\n[...]\n";

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

    /// Opens the file for the next installer, and makes its folder where it is missing.
    ///
    /// # Errors
    /// Those of opening and writing; what is no regular file.
    pub(crate) fn open(&self, label: &str) -> io::Result<File> {
        home::make_folder(self.path.parent().unwrap_or(Path::new(".")))
            .map_err(io::Error::other)?;
        let mut file = files::unlinked(0o640)
            .append(true)
            .create(true)
            .open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("no regular file"));
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let line = format!("--- installer of {label:?}, started {now} s after 1970\n");
        self.write(&mut file, line.as_bytes())?;
        Ok(file)
    }

    /// Appends. What would go past the limit takes the place of the second half: the
    /// beginning, which mostly tells why, and the end stay.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        // Another installer may still print.
        file.lock()?;
        let written = self.write_locked(file, bytes);
        file.unlock()?;
        written
    }

    fn write_locked(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let most = usize::try_from(self.limit / 4).unwrap_or(usize::MAX).max(1);
        for part in bytes.chunks(most) {
            let length = file.metadata()?.len();
            if length.saturating_add(part.len() as u64) > self.limit {
                file.set_len(length.min(self.limit / 2))?;
                file.write_all(CUT)?;
            }
            file.write_all(part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn beginning_and_end_stay_and_the_limit_is_never_passed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/log");
        let log = InstallerLog::new(path.clone(), 4096);
        let mut file = log.open("a.wpk").unwrap();
        for block in [&[b'x'; 10_000][..], &[b'y'; 700], b"the end\n"] {
            for _ in 0..7 {
                log.write(&mut file, block).unwrap();
                assert!(fs::metadata(&path).unwrap().len() <= 4096);
            }
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("--- installer of \"a.wpk\""), "{text}");
        assert!(text.ends_with("the end\n") && text.contains("[...]"));
        fs::write(&path, vec![b'o'; 9000]).unwrap();
        log.open("b.wpk").unwrap();
        assert!(fs::metadata(&path).unwrap().len() <= 4096, "one of before");
    }
}
