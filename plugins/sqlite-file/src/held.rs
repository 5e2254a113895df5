//! Who writes into a database that does not lie any more where it was opened, as
//! one sees it from outside: `/proc` names the files that each process has open.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::place::{beside, identity};

/// The kernel puts this behind the name of an open file that was removed.
const REMOVED: &[u8] = b" (deleted)";

/// The processes that have `database` open as it lay there before, and not what
/// lies there now. Processes of other users are seen by root alone.
pub fn held(database: &Path) -> Vec<u32> {
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
