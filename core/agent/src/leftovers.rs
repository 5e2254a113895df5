//! What failed deliveries left in `var/incoming`: it counts against the limit of all
//! files, and goes, the oldest first, when a delivery needs its room. `files` enters.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Files that may lie in the folder at a time.
const MOST_FILES: usize = 1_000;

/// A file of before.
#[derive(Debug)]
struct Old {
    name: std::ffi::OsString,
    size: u64,
    changed: SystemTime,
}

/// Bytes of all files but `name`. Of more files than may lie there the oldest go.
///
/// # Errors
/// Those of reading the folder.
pub(crate) fn used_by_others(folder: &Path, name: &str) -> io::Result<u64> {
    let mut old = others(folder, name)?;
    while old.len() >= MOST_FILES {
        let Some(last) = old.pop() else { break };
        remove(folder, &last)?;
    }
    Ok(old
        .iter()
        .fold(0, |used, file| used.saturating_add(file.size)))
}

/// Removes the oldest file but `name` and answers its bytes; `None` where there is
/// none.
///
/// # Errors
/// Those of reading the folder and of removing.
pub(crate) fn remove_oldest(folder: &Path, name: &str) -> io::Result<Option<u64>> {
    match others(folder, name)?.pop() {
        Some(oldest) => remove(folder, &oldest).map(|()| Some(oldest.size)),
        None => Ok(None),
    }
}

/// The oldest last. No folders: none of ours lies there.
fn others(folder: &Path, name: &str) -> io::Result<Vec<Old>> {
    let mut old = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // One that goes away meanwhile takes no room.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        if entry.file_name() != name && !about.is_dir() {
            old.push(Old {
                name: entry.file_name(),
                size: about.len(),
                changed: about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
    }
    old.sort_by_key(|old| std::cmp::Reverse(old.changed));
    Ok(old)
}

fn remove(folder: &Path, old: &Old) -> io::Result<()> {
    let path = folder.join(&old.name);
    fs::remove_file(&path)?;
    tracing::warn!("{path:?} was left by a failed delivery: removed, its room is needed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_goes_first_and_never_the_one_that_arrives() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        for (name, age) in [("new", 1), ("oldest", 9), ("older", 5), ("f", 20)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_len(age).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(time).unwrap();
        }
        assert_eq!(used_by_others(dir.path(), "f").unwrap(), 15);
        for size in [Some(9), Some(5), Some(1), None] {
            assert_eq!(remove_oldest(dir.path(), "f").unwrap(), size);
        }
        assert!(dir.path().join("f").exists());
    }

    #[test]
    fn only_so_many_files_lie_there() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..=MOST_FILES {
            fs::write(dir.path().join(number.to_string()), "x").unwrap();
        }
        assert!(used_by_others(dir.path(), "f").unwrap() < MOST_FILES as u64);
    }
}
