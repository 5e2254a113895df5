//! The journal's file: how it comes to be, grows and goes, so that whoever starts
//! next finds it whole. What its lines say is the `record`.
//!
//! A line without its newline was cut off by a crash and does not count.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use crate::error::InstallError;
use crate::record::Record;
use crate::verdict::Verdict;

/// A journal is never longer, in bytes.
const LIMIT: u64 = 64 << 20;

/// The file and what it says.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    pub(crate) record: Record,
}

impl Journal {
    /// Makes a new one. It appears with its heading, or not at all.
    pub(crate) fn create(path: &Path, run: &str) -> Result<Self, InstallError> {
        let fail = |error| InstallError::path(path, "write the journal", error);
        let temporary = path.with_extension("new");
        let heading = format!("wpk-installer\t1\t{run}\n");
        let made = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(&temporary)?;
            file.write_all(heading.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            sync_folder(path)?;
            Ok(file)
        };
        Ok(Self {
            file: made().map_err(fail)?,
            path: path.to_owned(),
            length: heading.len() as u64,
            record: Record {
                run: run.to_owned(),
                ..Record::default()
            },
        })
    }

    /// Reads one that was left behind; `None` when there is none.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, InstallError> {
        let fail = |error| InstallError::path(path, "read the journal", error);
        let wrong = |line, reason: &str| InstallError::Journal {
            path: path.to_owned(),
            line,
            reason: reason.to_owned(),
        };
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let meta = file.metadata().map_err(fail)?;
        // It says which files to put where and what to run.
        if !meta.is_file()
            || meta.uid() != rustix::process::geteuid().as_raw()
            || meta.mode() & 0o022 != 0
        {
            return Err(wrong(
                1,
                "it is no plain file of this user that nobody else may write",
            ));
        }
        if meta.len() > LIMIT {
            return Err(wrong(1, "it is longer than any journal"));
        }
        let mut bytes = Vec::new();
        (&file).take(LIMIT).read_to_end(&mut bytes).map_err(fail)?;
        bytes.truncate(
            bytes
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |end| end + 1),
        );
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong(1, "it is no UTF-8"))?;
        let record = Record::parse(text).map_err(|(line, reason)| wrong(line, &reason))?;
        let length = bytes.len() as u64;
        file.set_len(length).map_err(fail)?;
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            length,
            record,
        }))
    }

    /// Writes what will be changed.
    pub(crate) fn plan(&mut self, record: Record) -> io::Result<()> {
        let text = record.plan() + "planned\n";
        self.append(&text)?;
        self.record = record;
        self.record.planned = true;
        Ok(())
    }

    pub(crate) fn ready(&mut self) -> io::Result<()> {
        self.append("ready\n")?;
        self.record.ready = true;
        Ok(())
    }

    /// All targets are changed. Tells when that was, by the clock of the file
    /// system.
    pub(crate) fn changed(&mut self) -> io::Result<SystemTime> {
        self.append("changed\n")?;
        self.file.metadata()?.modified()
    }

    pub(crate) fn decide(&mut self, verdict: Verdict) -> io::Result<()> {
        self.append(&format!("verdict\t{}\n", verdict.digit()))?;
        self.record.verdict = Some(verdict);
        Ok(())
    }

    pub(crate) fn restored(&mut self) -> io::Result<()> {
        self.append("restored\n")?;
        self.record.restored = true;
        Ok(())
    }

    /// Sets it aside: a new run begins.
    pub(crate) fn move_to(&mut self, path: &Path) -> Result<(), InstallError> {
        fs::rename(&self.path, path)
            .and_then(|()| sync_folder(path))
            .map_err(|error| InstallError::path(&self.path, "set the journal aside", error))?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Removes it: the run has ended.
    pub(crate) fn remove(self) -> Result<(), InstallError> {
        fs::remove_file(&self.path)
            .and_then(|()| sync_folder(&self.path))
            .map_err(|error| InstallError::path(&self.path, "remove the journal", error))
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        let written = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all());
        match written {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A line cut off must not become part of the next one.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}

/// Makes what happened to the names in a file's folder last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::full_record;

    #[test]
    fn it_is_read_as_it_was_written_and_cut_lines_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert!(Journal::open(&path).unwrap().is_none());
        let mut journal = Journal::create(&path, "0123456789abcdef").unwrap();
        journal.plan(full_record()).unwrap();
        journal.ready().unwrap();
        journal.decide(Verdict::Failed).unwrap();
        let expected = journal.record.clone();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"restored").unwrap();
        let mut journal = Journal::open(&path).unwrap().unwrap();
        assert_eq!(journal.record, expected);
        assert!(journal.record.must_restore());
        journal.restored().unwrap();
        let again = Journal::open(&path).unwrap().unwrap();
        assert!(again.record.restored && !again.record.must_restore());
    }

    #[test]
    fn what_others_may_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        drop(Journal::create(&path, "0123456789abcdef").unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(InstallError::Journal { .. })
        ));
        let real = dir.path().join("real");
        fs::rename(&path, &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        assert!(Journal::open(&path).is_err());
    }
}
