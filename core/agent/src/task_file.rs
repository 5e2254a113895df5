//! Which task of the manager an installer was begun for: `var/upgrade/.upgrade_task`,
//! the id and a newline, beside the result that will be that task's (PROTOCOL.md,
//! section 16). It is on disk before the installer starts, so that whoever is
//! there at its end (this agent after a crash, or the one it was upgraded to)
//! says whose result it is.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wpk_api::TaskId;

use crate::home;
use crate::platform::files;
use crate::result::read_small;

/// The name of the file, beside the result. A pattern such as `*` of an installer does not
/// meet it.
const NAME: &str = ".upgrade_task";
/// No id is longer than this, in bytes.
const LONGEST: u64 = 20;

/// The file.
#[derive(Debug)]
pub(crate) struct TaskFile(PathBuf);

impl TaskFile {
    #[cfg(test)]
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The one of this result.
    pub(crate) fn beside(result: &Path) -> Self {
        Self(result.with_file_name(NAME))
    }

    /// The task; `None` where none was named, or the file says nothing.
    pub(crate) fn read(&self) -> Option<TaskId> {
        let bytes = read_small(&self.0, LONGEST).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        // Cut off, it would be another id.
        let id = text.strip_suffix('\n')?.parse().ok()?;
        (id > 0).then_some(TaskId(id))
    }

    /// Writes the task down, or that none was named. Whatever was in its place,
    /// a package's file or folder too, goes.
    ///
    /// # Errors
    /// What the disk says; nothing is known of the file then.
    pub(crate) fn write(&self, task: Option<TaskId>) -> io::Result<()> {
        self.remove()?;
        let Some(task) = task else { return Ok(()) };
        let mut file = files::unlinked(0o640)
            .write(true)
            .create_new(true)
            .open(&self.0)?;
        file.write_all(format!("{task}\n").as_bytes())?;
        file.sync_all()?;
        File::open(self.0.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    /// The result was delivered.
    ///
    /// # Errors
    /// Those of removing it, unless there is none.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match home::remove(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".upgrade_task");
        let file = TaskFile::new(path.clone());
        assert_eq!(file.read(), None);
        for task in [TaskId(1), TaskId(i64::MAX)] {
            file.write(Some(task)).unwrap();
            assert_eq!(TaskFile::new(path.clone()).read(), Some(task));
        }
        file.write(None).unwrap();
        assert!(!path.exists());
        for nothing in [
            "",
            "7",
            "7 \n",
            "x\n",
            "-1\n",
            "0\n",
            "99999999999999999999999\n",
        ] {
            fs::write(&path, nothing).unwrap();
            assert_eq!(file.read(), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_a_package_put_in_its_place_goes() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = dir.path().join(".upgrade_task");
        let file = TaskFile::new(path.clone());
        fs::create_dir_all(path.join("deep")).unwrap();
        file.write(Some(TaskId(7))).unwrap();
        assert_eq!(file.read(), Some(TaskId(7)));
        fs::remove_file(&path).unwrap();
        let other = outside.path().join("task");
        fs::write(&other, "9\n").unwrap();
        symlink(&other, &path).unwrap();
        assert_eq!(file.read(), None, "never through a link");
        file.write(Some(TaskId(8))).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"9\n");
        assert_eq!(file.read(), Some(TaskId(8)));
    }
}
