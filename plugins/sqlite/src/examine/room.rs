//! Room on the disk of the file: a store that cannot grow takes no tasks.

use std::path::Path;

use wpk_api::examine::Check;

const NAME: &str = "room for tasks";
const MIB: u64 = 1 << 20;
/// Below this, in bytes, the next request may be one too many.
const LEAST: u64 = 4 * MIB;
/// Below this, in bytes, it will not last.
const LITTLE: u64 = 64 * MIB;

/// Looks at the file system of the folder; nothing to say where there is room.
pub(super) fn look(file: &Path) -> Option<Check> {
    let folder = file.ancestors().skip(1).find(|folder| folder.exists())?;
    let stat = rustix::fs::statvfs(folder).ok()?;
    judge(stat.f_bavail.saturating_mul(stat.f_frsize), folder)
}

fn judge(free: u64, folder: &Path) -> Option<Check> {
    let detail = format!("{} MiB free in {}", free / MIB, folder.display());
    let advice = "make room: without it requests are refused (code 4)";
    match free {
        ..LEAST => Some(Check::failure(NAME, detail, advice)),
        LEAST..LITTLE => Some(Check::warning(NAME, detail, advice)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wpk_api::examine::Level;

    use super::*;

    #[test]
    fn little_room_is_told_before_there_is_none() {
        let level = |free| judge(free, Path::new("/var")).map(|check| check.level);
        assert_eq!(level(LITTLE), None);
        assert_eq!(level(LITTLE - 1), Some(Level::Warning));
        assert_eq!(level(LEAST), Some(Level::Warning));
        assert_eq!(level(LEAST - 1), Some(Level::Failure));
        assert_eq!(level(0), Some(Level::Failure));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_lies_on_the_disk_above_it() {
        let home = tempfile::tempdir().unwrap();
        // Whatever there is: it is asked without a mistake.
        let here = look(&home.path().join("tasks.db"));
        assert_eq!(look(&home.path().join("a/b/tasks.db")), here);
    }
}
