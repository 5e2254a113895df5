//! Who writes into a database that does not lie any more where it was opened, as
//! one sees it from outside: `/proc` names the files that each process has open.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use wpk_api::examine::Check;

use crate::place::{beside, identity};

/// A failure under `name` where a process writes into what lay at `database` before.
pub fn examine(name: &str, database: &Path) -> Option<Check> {
    let process = held(database).into_iter().next()?;
    let detail = format!(
        "process {process} still has the file open that lay at {} before: it was removed or \
         replaced, and nothing more can be stored",
        database.display()
    );
    let advice = "put it back, or put a backup in its place and restart wpkd";
    Some(Check::failure(name, detail, advice))
}

/// Whether another process has the database open as it lies there. Processes of other
/// users are seen by root alone.
pub fn is_open(database: &Path) -> bool {
    let Some(database) = resolved(database) else {
        return false;
    };
    let lies = identity(&database).ok();
    let has_it = |process: u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        // Only a path that reads like it is looked at closer: a look may wait.
        files.any(|file| {
            fs::read_link(file.path()).is_ok_and(|link| link == database)
                && identity(&file.path()).ok() == lies
        })
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    lies.is_some() && ids.any(|id| id != std::process::id() && has_it(id))
}

/// The kernel puts this behind the name of an open file that was removed.
const REMOVED: &[u8] = b" (deleted)";

/// The processes that have `database` open as it lay there before, and not what
/// lies there now. Processes of other users are seen by root alone.
pub(crate) fn held(database: &Path) -> Vec<u32> {
    let Some(database) = resolved(database) else {
        return Vec::new();
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| *id != std::process::id() && holds_another(*id, &database))
        .collect()
}

/// The path as the kernel shows it.
fn resolved(database: &Path) -> Option<PathBuf> {
    database.canonicalize().ok().or_else(|| {
        let folder = database.parent()?.canonicalize().ok()?;
        Some(folder.join(database.file_name()?))
    })
}

fn holds_another(process: u32, database: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd"));
    let mut held = None;
    for entry in files.into_iter().flatten().flatten() {
        let Ok(link) = fs::read_link(entry.path()) else {
            continue;
        };
        let name = link.into_os_string().into_vec();
        let name = name.strip_suffix(REMOVED).unwrap_or(&name);
        // A database that was moved away has its other files here still.
        for ending in ["", "-wal", "-shm"] {
            let place = beside(database, ending);
            if name == place.as_os_str().as_bytes() {
                let same = identity(&entry.path()).ok() == identity(&place).ok();
                let seen = held.get_or_insert((false, true));
                seen.0 |= ending.is_empty() && same;
                seen.1 &= same;
            }
        }
    }
    held.is_some_and(|(has_it, all_same)| !(has_it && all_same))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that has a file open until it is dropped.
    struct Holder(Child);

    impl Holder {
        fn of(file: &Path) -> Self {
            let file = File::open(file).unwrap();
            let mut command = Command::new("cat");
            // It copies its input, which is here a pipe that nobody writes to.
            command.arg("-").stdin(Stdio::piped()).stdout(Stdio::null());
            Self(command.stderr(file).spawn().unwrap())
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn who_has_what_lay_there_before_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let said = || examine("database", &file).map(|check| check.to_string());
        assert_eq!(said(), None, "there is none");
        std::fs::write(&file, "").unwrap();
        let holder = Holder::of(&file);
        assert_eq!(said(), None, "it lies where it lay");
        let away = folder.path().join("away.db");
        std::fs::rename(&file, &away).unwrap();
        std::fs::rename(&away, &file).unwrap();
        assert_eq!(said(), None, "it is back");

        let named = format!("process {} ", holder.0.id());
        std::fs::remove_file(&file).unwrap();
        let removed = said().expect("it was removed");
        assert!(removed.contains(&named), "{removed}");
        std::fs::write(&file, "").unwrap();
        let replaced = said().expect("it was replaced");
        assert!(replaced.contains(&named), "{replaced}");
        drop(holder);
        assert_eq!(said(), None, "nobody has it any more");
    }

    #[test]
    fn a_database_without_its_log_is_found_by_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let log = beside(&file, "-wal");
        std::fs::write(&file, "").unwrap();
        std::fs::write(&log, "").unwrap();
        let _holder = Holder::of(&log);
        // It has the log alone: the database it opened lies elsewhere.
        assert!(examine("database", &file).is_some());
    }
}
