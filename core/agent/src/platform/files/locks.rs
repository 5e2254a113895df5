//! Who holds a lock, without touching it: to try it would, for that moment, keep away the
//! one whose it is. The kernel lists all of them in `/proc/locks`.

use std::fs;
use std::path::Path;

use super::about;

const LOCKS: &str = "/proc/locks";

/// The process that locked this file; it may have ended and left the lock to another.
/// `None`: nobody holds it, or that cannot be seen.
pub(crate) fn holder(file: &Path) -> Option<u32> {
    let (_, inode) = about(file).ok()?.identity;
    of_inode(&fs::read_to_string(LOCKS).ok()?, inode)
}

/// Lines such as `1: FLOCK  ADVISORY  WRITE 700 08:01:1234 0 EOF`; one that waits has
/// `->` after its number. The device is not what `stat` tells on every file system.
fn of_inode(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, pid, place, ..] => {
                let (_, of) = place.rsplit_once(':')?;
                (of.parse() == Ok(inode)).then(|| pid.parse().ok())?
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 700 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  READ 701 08:01:78 0 EOF\n";
        assert_eq!(of_inode(locks, 77), Some(700));
        assert_eq!(of_inode(locks, 78), None, "it waits");
        assert_eq!(of_inode(locks, 7), None);
    }

    #[test]
    fn a_lock_is_seen_while_it_is_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(holder(file.path()), None);
        file.as_file().lock().unwrap();
        assert_eq!(holder(file.path()), Some(std::process::id()));
        file.as_file().unlock().unwrap();
        assert_eq!(holder(file.path()), None);
    }
}
