//! Room for downloads where the cache is or will be.

use std::path::{Path, PathBuf};

use wpk_api::examine::Check;
use wpk_config::Settings;

const MIB: u64 = 1 << 20;
/// Below this no WPK fits, in bytes.
const LEAST: u64 = 100 * MIB;
/// The fewest free files.
const LEAST_FILES: u64 = 100;

/// Looks at the cache and its file system.
pub(super) fn look(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![free(settings)];
    let cache = settings.path(&settings.cache.dir);
    checks.extend(full(&cache, settings.cache.total()));
    checks
}

/// Whether there is more in the cache than it may hold: a limit that was lowered, or
/// files of others.
fn full(cache: &Path, limit: u64) -> Option<Check> {
    let files = std::fs::read_dir(cache).ok()?.flatten();
    let sizes = files.filter_map(|file| file.metadata().ok());
    let held: u64 = (sizes.filter(|size| size.is_file()))
        .map(|size| size.len())
        .sum();
    (held > limit).then(|| {
        let detail = format!(
            "{} holds {} MiB, more than the {} MiB of cache.max_total",
            cache.display(),
            held / MIB,
            limit / MIB
        );
        let advice = "raise cache.max_total, or remove what wpkd did not put there; of its own \
                      it removes what was used longest ago with the next download";
        Check::warning("cache", detail, advice)
    })
}

/// Room for the next downloads.
fn free(settings: &Settings) -> Check {
    const NAME: &str = "disk space";
    let cache = settings.path(&settings.cache.dir);
    let place = existing(&cache);
    let shown = cache.display();
    let advice = "make room, or move the cache with cache.dir";
    let stat = match rustix::fs::statvfs(&place) {
        Ok(stat) => stat,
        Err(error) => {
            let detail = format!("{} cannot be asked: {error}", place.display());
            return Check::failure(NAME, detail, "ask as root or as the user of wpkd");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB free for {shown}", free / MIB);
    let wanted = settings.cache.max_size.0;
    if free < LEAST {
        Check::failure(NAME, detail, advice)
    } else if stat.f_files > 0 && stat.f_favail < LEAST_FILES {
        let detail = format!("{} files can be made in {shown}", stat.f_favail);
        Check::failure(NAME, detail, advice)
    } else if free < wanted {
        let detail = format!("{detail}, the largest download is {} MiB", wanted / MIB);
        Check::warning(NAME, detail, format!("{advice}, or lower cache.max_size"))
    } else {
        Check::ok(NAME, detail)
    }
}

/// The folder, or the nearest above it that exists.
fn existing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_above_its_limit_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = |limit| full(folder.path(), limit).map(|check| check.detail);
        assert_eq!(full(Path::new("/nowhere"), 0), None);
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("a.wpk"), vec![0; 3 << 20]).unwrap();
        assert_eq!(said(3 << 20), None);
        let told = said((3 << 20) - 1).unwrap();
        assert!(told.contains("holds 3 MiB, more than the 2 MiB"), "{told}");
    }
}
